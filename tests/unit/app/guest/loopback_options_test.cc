#include "app/guest/loopback_options.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "app/guest/guest_plan.h"
#include "app/guest/port_list.h"

namespace sluice::app {
namespace {

std::expected<NamespaceOptions, Mistake> read(const std::vector<const char*>& ports,
                                              bool loopback_first = false,
                                              const std::vector<const char*>& udp = {}) {
  RawOptions raw;
  for (const char* const text : udp) {
    raw.values[static_cast<std::size_t>(OptionId::kUdpNs)].emplace_back(text);
  }
  for (const char* const text : ports) {
    raw.values[static_cast<std::size_t>(OptionId::kTcpNs)].emplace_back(text);
  }
  if (loopback_first) raw.values[static_cast<std::size_t>(OptionId::kHostLoToNsLo)].emplace_back();
  NamespaceOptions options;
  if (auto ok = read_loopback_options(raw, options); !ok) return std::unexpected(ok.error());
  return options;
}

std::string mistake(const std::vector<const char*>& ports) {
  const auto options = read(ports);
  return options ? "(none)" : options.error().text;
}

TEST(LoopbackOptions, PortsOfSeveralWordsAreOneList) {
  const auto options = read({"80", "none", "5432,8080:80", "9000-9010"});
  ASSERT_TRUE(options.has_value());
  ASSERT_EQ(options->loopback.size(), 3U);
  EXPECT_EQ(options->loopback[0].guest_first, wire::Port{5432});
  EXPECT_EQ(options->loopback[1].guest_first, wire::Port{8080});
  EXPECT_EQ(options->loopback[1].host_first, wire::Port{80});
  EXPECT_EQ(options->loopback[2].count, 11);
  for (const policy::PortMap& map : options->loopback) {
    EXPECT_EQ(map.protocol, policy::Protocol::kTcp);
  }
}

TEST(LoopbackOptions, ThoseOfTheHostFollowWhereItIsSaid) {
  EXPECT_TRUE(read({"80"}, false, {"53"})->follow_host.empty());
  const auto options = read({"80", "auto"}, false, {"auto"});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->loopback.size(), 1U) << "one that is named leads out in any case";
  ASSERT_EQ(options->follow_host.size(), 2U);
  EXPECT_TRUE(serve::covers(options->follow_host, policy::Protocol::kTcp));
  EXPECT_TRUE(serve::covers(options->follow_host, policy::Protocol::kUdp));
  EXPECT_EQ(namespace_plan(*options, {}).host_follow.ports, options->follow_host);
  EXPECT_TRUE(read({"auto", "none"})->follow_host.empty());
  const auto without = read({"auto,~22"});
  EXPECT_FALSE(serve::covers(without->follow_host, policy::Protocol::kTcp, wire::Port{22}));
  EXPECT_TRUE(serve::covers(without->follow_host, policy::Protocol::kTcp, wire::Port{23}));
  EXPECT_EQ(mistake({"auto,22x"}),
            "--tcp-ns: 'auto,22x' are no ports; expected none, auto, or ports as "
            "5432,8080:80,2000-2010, without some as auto,~22");
}

TEST(LoopbackOptions, APortOfTheGuestHasOneWay) {
  EXPECT_EQ(mistake({"80:81", "79-82:8000"}),
            "--tcp-ns: port 80 of the guest is named twice; expected one way for it");
  EXPECT_EQ(mistake({"79-82", "80"}),
            "--tcp-ns: port 80 of the guest is named twice; expected one way for it");
  EXPECT_EQ(mistake({"80:8080", "81:8080"}), "(none)") << "two ways to a port of the host";
}

TEST(LoopbackOptions, PortsOfUdpAreOnesOfTheirOwn) {
  const auto options = read({"53"}, false, {"53:5353"});
  ASSERT_TRUE(options.has_value());
  ASSERT_EQ(options->loopback.size(), 2U);
  EXPECT_EQ(options->loopback[1].protocol, policy::Protocol::kUdp);
  EXPECT_EQ(options->loopback[1].host_first, wire::Port{5353});
  const auto twice = read({}, false, {"53", "53"});
  ASSERT_FALSE(twice.has_value());
  EXPECT_TRUE(twice.error().text.contains("--udp-ns: port 53"));
}

TEST(LoopbackOptions, TheirNumberIsBounded) {
  EXPECT_EQ(mistake({"1-1000", "2000-2023"}), "(none)");
  EXPECT_EQ(mistake({"1-1000", "2000-2024"}),
            "--tcp-ns: these are 1025 ports; expected 1024 at most");
}

TEST(LoopbackOptions, WhereClientsOfTheLoopbackAreLed) {
  EXPECT_EQ(read({})->call_guest, policy::LoopbackUse::kWhereRefused);
  EXPECT_EQ(read({}, true)->call_guest, policy::LoopbackUse::kFirst);
}

TEST(LoopbackOptions, AreOfThePlanOfANamespaceAndNoOther) {
  const auto options = read({"80"}, true);
  ASSERT_TRUE(options.has_value());
  const serve::ServePlan plan = namespace_plan(*options, options->network);
  EXPECT_EQ(plan.loopback, options->loopback);
  EXPECT_EQ(plan.call_guest, policy::LoopbackUse::kFirst);
  EXPECT_EQ(plan.fast_path, policy::FastPathUse::kAuto);
  const serve::ServePlan machine = serve_plan(*options, options->network);
  EXPECT_TRUE(machine.loopback.empty());
  EXPECT_EQ(machine.call_guest, policy::LoopbackUse::kNever);
}

}  // namespace
}  // namespace sluice::app
