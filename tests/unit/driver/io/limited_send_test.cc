#include "driver/io/limited_send.h"

#include <gtest/gtest.h>

namespace sluice::driver {
namespace {

using policy::Meter;
using policy::MeterUse;

constexpr Instant kNow{std::chrono::seconds(7)};

TEST(LimitedSend, TheWholeGoesOrNothingDoes) {
  MeterUse use("r");
  Meter meter(use, {.to_host = {.bytes = 100}}, nullptr);
  EXPECT_EQ(send_whole(meter.to_host(), 60, kNow, [] { return Sent(40); }), Sent(40));
  EXPECT_EQ(use.to_host.used, 40u);
  EXPECT_EQ(use.to_host.claimed, 40u);
  bool called = false;
  const auto send = [&] {
    called = true;
    return Sent(61);
  };
  EXPECT_EQ(send_whole(meter.to_host(), 61, kNow, send), Sent(0));
  EXPECT_FALSE(called);
  EXPECT_EQ(use.to_host.claimed, 40u);
}

TEST(LimitedSend, SomeGoAsFarAsTheLimitAndTheSocketTakeThem) {
  MeterUse use("r");
  Meter meter(use, {.to_host = {.bytes = 100}}, nullptr);
  const auto all = [](std::size_t bytes) { return Sent(bytes); };
  const auto few = [](std::size_t) { return Sent(10); };
  EXPECT_FALSE(send_some(meter.to_host(), 50, kNow, few)->held_back) << "the socket is full";
  const auto most = send_some(meter.to_host(), 500, kNow, all);
  EXPECT_EQ(most->bytes, 90u);
  EXPECT_TRUE(most->held_back);
  EXPECT_EQ(send_some(meter.to_host(), 500, kNow, all)->bytes, 0u);
  EXPECT_TRUE(send_some(meter.to_host(), 500, kNow, all)->held_back);
}

TEST(LimitedSend, AFailureCountsForNothing) {
  MeterUse use("r");
  Meter meter(use, {.to_host = {.bytes = 100}}, nullptr);
  const auto fail = [](std::size_t) -> Sent {
    return std::unexpected(sys::SysError{sys::SysOp::kSend, 32});
  };
  EXPECT_FALSE(send_some(meter.to_host(), 50, kNow, fail));
  EXPECT_EQ(use.to_host.claimed, 0u);
}

TEST(LimitedSend, ARateTellsOfLittleRoom) {
  MeterUse use("r");
  Meter slow(use, {.to_host = {.rate = 5}}, nullptr);
  Meter quota(use, {.to_host = {.bytes = 5}}, nullptr);
  EXPECT_EQ(room_within(nullptr, 1 << 20), 1u << 20);
  EXPECT_EQ(room_within(&quota.to_host(), 1 << 20), 1u << 20);
  EXPECT_EQ(room_within(&slow.to_host(), 1 << 20), 64u * 1024);
  EXPECT_EQ(room_within(&slow.to_host(), 100), 100u);
}

}  // namespace
}  // namespace sluice::driver
