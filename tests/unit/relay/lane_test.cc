// Pairs whose bytes count for a limit that others count for, too.
#include <gtest/gtest.h>

#include "policy/limits/meter.h"
#include "unit/relay/rig.h"
#include "unit/relay/sender.h"

namespace sluice::relay {
namespace {

using policy::Meter;
using policy::MeterUse;

PairOptions options_of(Meter& meter) {
  PairOptions options;
  options.to_target.lane = &meter.to_host();
  options.to_client.lane = &meter.from_host();
  return options;
}

TEST(RelayLane, AQuotaIsCarriedToTheByteAndNoFurther) {
  for (const Mode mode : {Mode::kCopy, Mode::kSplice, Mode::kAuto}) {
    MeterUse use("rule");
    Meter meter(use, {.to_host = {.bytes = 700'001}}, nullptr);
    Rig rig(sys::real_kernel(), {.mode = mode}, options_of(meter));
    const std::string text = pattern(2'000'000);
    Sender forth(rig.client.get(), text);
    Received at_target;
    ASSERT_TRUE(rig.turn_until([&] {
      forth.push();
      at_target.read_from(rig.target.get());
      return rig.pair.used_up();
    }));
    EXPECT_EQ(rig.status, PairStatus::kLater);
    EXPECT_EQ(rig.pair.resume_at(), kNever);
    at_target.read_from(rig.target.get());
    EXPECT_TRUE(at_target.bytes == text.substr(0, 700'001)) << at_target.bytes.size();
    EXPECT_EQ(use.to_host.used, 700'001u);
    EXPECT_EQ(use.to_host.claimed, 700'001u);
    EXPECT_EQ(rig.pair.bytes_to_target(), 700'001u);
    rig.pair.stop(rig.pools, StopHow::kReset);
    EXPECT_TRUE(rig.nothing_held());
  }
}

TEST(RelayLane, ARateDelaysOneWayAndLosesNothing) {
  for (const Mode mode : {Mode::kCopy, Mode::kSplice, Mode::kAuto}) {
    MeterUse use("rule");
    Meter meter(use, {.to_host = {.rate = 2'000'000}}, nullptr);
    Rig rig(sys::real_kernel(), {.mode = mode}, options_of(meter));
    const std::string text = pattern(1'000'000);
    Sender forth(rig.client.get(), text);
    Sender back(rig.target.get(), text);
    Received at_target;
    Received at_client;
    const Instant begin = clock_now();
    ASSERT_TRUE(rig.turn_until([&] {
      forth.push();
      back.push();
      at_target.read_from(rig.target.get());
      at_client.read_from(rig.client.get());
      return at_target.end && at_client.end;
    }));
    EXPECT_TRUE(at_target.bytes == text);
    EXPECT_TRUE(at_client.bytes == text);
    EXPECT_GT(clock_now() - begin, 400ms);
    EXPECT_EQ(use.to_host.used, text.size());
    EXPECT_EQ(use.from_host.used, text.size());
  }
}

TEST(RelayLane, AnotherLaneLetsItGoOn) {
  MeterUse use("rule");
  Meter meter(use, {.to_host = {.bytes = 1000}}, nullptr);
  Rig rig(sys::real_kernel(), {}, options_of(meter));
  const std::string text = pattern(5000);
  Sender forth(rig.client.get(), text);
  Received at_target;
  ASSERT_TRUE(rig.turn_until([&] {
    forth.push();
    at_target.read_from(rig.target.get());
    return rig.pair.used_up();
  }));
  Meter wider(use, {.to_host = {.bytes = 9000}}, nullptr);
  rig.pair.set_lanes(&wider.to_host(), &wider.from_host());
  EXPECT_FALSE(rig.pair.used_up());
  rig.status = PairStatus::kMore;  // Its owner pumps it.
  ASSERT_TRUE(rig.turn_until([&] {
    at_target.read_from(rig.target.get());
    return at_target.bytes.size() == text.size();
  }));
  EXPECT_TRUE(at_target.bytes == text);
  EXPECT_EQ(use.to_host.used, 5000u);
  rig.pair.stop(rig.pools, StopHow::kReset);
}

}  // namespace
}  // namespace sluice::relay
