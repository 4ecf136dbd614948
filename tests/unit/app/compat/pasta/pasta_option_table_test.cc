#include "app/compat/pasta/pasta_option_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace sluice::app {
namespace {

// What is wrong with an option; empty: nothing.
std::string take(PasstDraft& draft, std::string_view name, std::string_view text = "") {
  const auto all = pasta_options();
  const auto option = std::ranges::find_if(
      all, [&](const PasstOption& one) { return std::string_view(one.name) == name; });
  if (option == all.end()) return "no such option";
  const std::string given = "--" + std::string(name);
  const auto taken = option->take(draft, {given, text});
  return taken ? "" : taken.error().text;
}

TEST(PastaOptionTable, PortsOfTheGuestAndOfTheHostAreFollowed) {
  PasstDraft draft;
  EXPECT_EQ(take(draft, "tcp-ports", "auto"), "");
  EXPECT_EQ(take(draft, "udp-ports", "auto"), "");
  EXPECT_TRUE(draft.tcp_given && draft.udp_given);
  EXPECT_EQ(draft.follow.size(), 2U);
  EXPECT_EQ(take(draft, "udp-ports", "none"), "");
  EXPECT_EQ(draft.follow.size(), 1U);
  EXPECT_EQ(take(draft, "tcp-ns", "auto"), "");
  EXPECT_EQ(take(draft, "udp-ns", "auto"), "");
  EXPECT_TRUE(draft.done.warnings.empty());
  EXPECT_EQ(draft.raw.all(OptionId::kTcpNs).back(), "auto");
  EXPECT_EQ(draft.raw.all(OptionId::kUdpNs).back(), "auto");
}

TEST(PastaOptionTable, PortsAreLedOutOfTheNamespace) {
  PasstDraft draft;
  EXPECT_EQ(take(draft, "tcp-ns", "none"), "");
  EXPECT_EQ(take(draft, "tcp-ns", "8080:80"), "");
  EXPECT_EQ(draft.raw.all(OptionId::kTcpNs).back(), "8080:80");
  EXPECT_EQ(take(draft, "udp-ns", "none"), "");
  EXPECT_EQ(take(draft, "udp-ns", "53:5353"), "");
  EXPECT_EQ(draft.raw.all(OptionId::kUdpNs).back(), "53:5353");
  EXPECT_TRUE(draft.done.warnings.empty());
}

TEST(PastaOptionTable, WhatIsAMachinesIsPassts) {
  PasstDraft draft;
  for (const char* const name : {"socket", "vhost-user", "repair-path", "one-off"}) {
    EXPECT_TRUE(take(draft, name).contains("expected it of passt alone")) << name;
  }
  EXPECT_TRUE(take(draft, "fd", "5").contains("--fd: a tap"));
}

TEST(PastaOptionTable, WhatNeedsNothingToBeDoneIsToldOf) {
  PasstDraft draft;
  for (const char* const name : {"no-copy-routes", "no-copy-addrs", "stats"}) {
    EXPECT_EQ(take(draft, name), "") << name;
  }
  EXPECT_EQ(draft.done.differences.size(), 3U);
}

TEST(PastaOptionTable, NamesOfInterfaces) {
  PasstDraft draft;
  EXPECT_EQ(take(draft, "ns-ifname", "eth0"), "");
  EXPECT_EQ(draft.raw.all(OptionId::kInterface).back(), "eth0");
  EXPECT_TRUE(take(draft, "ns-ifname", "lo").contains("--ns-ifname: 'lo'"));
  EXPECT_TRUE(take(draft, "ns-mac-addr", "01:00:00:00:00:01").contains("--ns-mac-addr"));
}

}  // namespace
}  // namespace sluice::app
