#include "driver/group/group.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>

namespace sluice::driver {
namespace {

TEST(Group, HasAnInboxForEach) {
  const flow::FrameOwner owner(flow::GuestNetwork(), 3, {1, 2});
  const auto group = Group::create(sys::real_kernel(), owner, policy::GuestLimits({}, 0), SipKey{});
  ASSERT_TRUE(group.has_value());
  EXPECT_EQ((*group)->size(), 3U);
  EXPECT_NE((*group)->inbox(0).fd(), (*group)->inbox(2).fd());
}

TEST(LockedLimits, HoldOverAllThreadsExactly) {
  constexpr std::uint32_t kMax = 1000;
  LockedLimits limits(policy::GuestLimits({.max_flows = kMax, .new_flows_per_second = 0}, 100));
  const auto admit_all = [&](policy::FlowSide side) {
    std::atomic<std::uint32_t> admitted = 0;
    std::array<std::thread, 4> threads;
    for (std::thread& thread : threads) {
      thread = std::thread([&] {
        for (std::uint32_t i = 0; i < kMax; ++i) {
          if (limits.admit(side, Instant{}) == policy::Verdict::kAccepted) ++admitted;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    return admitted.load();
  };
  EXPECT_EQ(admit_all(policy::FlowSide::kInboundStream), 100U);
  EXPECT_EQ(admit_all(policy::FlowSide::kInboundDatagram), kMax / 2 - 100);
  EXPECT_EQ(admit_all(policy::FlowSide::kOutbound), kMax / 2);
  EXPECT_FALSE(limits.has_room(policy::FlowSide::kOutbound));
  limits.released(policy::FlowSide::kOutbound);
  EXPECT_TRUE(limits.has_room(policy::FlowSide::kOutbound));
  EXPECT_FALSE(limits.has_room(policy::FlowSide::kInboundStream));
}

TEST(LockedLimits, TheRateIsThatOfAllTogether) {
  LockedLimits limits(policy::GuestLimits({.max_flows = 0, .new_flows_per_second = 50}, 0));
  std::atomic<int> admitted = 0;
  std::array<std::thread, 4> threads;
  for (std::thread& thread : threads) {
    thread = std::thread([&] {
      for (int i = 0; i < 200; ++i) {
        if (limits.admit(policy::FlowSide::kOutbound, Instant{} + std::chrono::seconds(100)) ==
            policy::Verdict::kAccepted) {
          ++admitted;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(admitted, 50);
}

}  // namespace
}  // namespace sluice::driver
