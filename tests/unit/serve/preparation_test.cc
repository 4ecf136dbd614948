// In a process of its own each: signals stay blocked, and the limit on descriptors raised.
#include "serve/preparation.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <array>
#include <csignal>

#include "unit/sys/loopback.h"

namespace sluice::serve {
namespace {

// Without names, so that no process has to follow the host's.
[[nodiscard]] ServePlan plan() {
  ServePlan plan;
  plan.network.dns = false;
  plan.host_addresses = true;
  return plan;
}

constexpr std::array kSignals{SIGTERM};

TEST(Preparation, SignalsWaitForUs) {
  const int status = sys::in_child([] {
    auto prepared = prepare(plan(), kSignals);
    if (!prepared) return 1;
    ::kill(::getpid(), SIGTERM);
    ::kill(::getpid(), SIGUSR1);  // Ours in any case.
    int seen = 0;
    while (prepared->signals.read()) ++seen;
    return seen == 2 ? 0 : 2;
  });
  EXPECT_EQ(status, 0);
}

TEST(Preparation, TheGuestGetsTheLimitThatWasThere) {
  const int status = sys::in_child([] {
    const rlimit low{.rlim_cur = 100, .rlim_max = 1000};
    if (::setrlimit(RLIMIT_NOFILE, &low) != 0) return 1;
    const auto prepared = prepare(plan(), kSignals);
    rlimit now{};
    ::getrlimit(RLIMIT_NOFILE, &now);
    if (!prepared || now.rlim_cur != 1000) return 2;
    return prepared->descriptor_limit == 100U ? 0 : 3;
  });
  EXPECT_EQ(status, 0);
}

TEST(Preparation, APortThatCannotBeBoundIsTold) {
  const int status = sys::in_child([] {
    ServePlan wanted = plan();
    wanted.publish = {policy::parse_port_map("198.51.100.1:4000:80").value()};
    const auto prepared = prepare(wanted, kSignals);
    if (prepared) return 1;
    return prepared.error().find("--publish 198.51.100.1:4000:80: cannot listen") !=
                   std::string::npos
               ? 0
               : 2;
  });
  EXPECT_EQ(status, 0);
}

TEST(Preparation, SocketsOfTheGuestsNetworkAreWantedWherePortsLeadIn) {
  using policy::LoopbackUse;
  const auto joins = [](policy::FastPathUse fast_path, LoopbackUse use, const char* published) {
    ServePlan plan;
    plan.fast_path = fast_path;
    plan.call_guest = use;
    if (published != nullptr) plan.publish = {policy::parse_port_map(published).value()};
    return joins_loopback(plan);
  };
  constexpr auto kAuto = policy::FastPathUse::kAuto;
  constexpr auto kOff = policy::FastPathUse::kOff;
  EXPECT_TRUE(joins(kAuto, LoopbackUse::kWhereRefused, nullptr)) << "people may publish some";
  EXPECT_FALSE(joins(kOff, LoopbackUse::kWhereRefused, nullptr));
  EXPECT_TRUE(joins(kOff, LoopbackUse::kFirst, "53:53/udp"));
  EXPECT_FALSE(joins(kAuto, LoopbackUse::kNever, "53:53/udp"));
  EXPECT_TRUE(joins(kOff, LoopbackUse::kWhereRefused, "80:80"));
  EXPECT_FALSE(joins(kAuto, LoopbackUse::kNever, "80:80"));

  ServePlan plan;
  plan.fast_path = kOff;
  plan.follow.emplace_back();
  EXPECT_TRUE(joins_loopback(plan));
  plan.follow.front().like.protocol = policy::Protocol::kUdp;
  EXPECT_TRUE(joins_loopback(plan));
  plan.call_guest = LoopbackUse::kNever;
  EXPECT_FALSE(joins_loopback(plan));
  plan.loopback = {policy::parse_port_map("80:80").value()};
  EXPECT_TRUE(joins_loopback(plan));
}

}  // namespace
}  // namespace sluice::serve
