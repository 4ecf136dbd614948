#include "policy/limits/meter.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace sluice::policy {
namespace {

using namespace std::chrono_literals;

constexpr Instant kNow{7s};

TEST(Meter, AQuotaIsGivenToTheByteAndNoFurther) {
  MeterUse use("uploads");
  Meter meter(use, {.to_host = {.bytes = 1000}}, nullptr);
  Lane& lane = meter.to_host();
  EXPECT_EQ(lane.claim(600, kNow), 600u);
  EXPECT_EQ(lane.claim(600, kNow), 400u) << "what is claimed is nobody else's";
  EXPECT_EQ(lane.claim(1, kNow), 0u);
  EXPECT_FALSE(lane.used_up()) << "some may come back";
  EXPECT_EQ(lane.ready_at(kNow), kNow + 1ms);
  lane.settle(600, 100, kNow);
  lane.settle(400, 400, kNow);
  EXPECT_EQ(use.to_host.used, 500u);
  EXPECT_EQ(lane.claim(9999, kNow), 500u);
  lane.settle(500, 500, kNow);
  EXPECT_TRUE(lane.used_up());
  EXPECT_TRUE(meter.used_up());
  EXPECT_FALSE(meter.from_host().used_up()) << "the ways are apart";
  EXPECT_EQ(meter.from_host().claim(9999, kNow), 9999u);
}

TEST(Meter, ARateIsTakenForWhatPassedOnly) {
  MeterUse use("slow");
  Meter meter(use, {.from_host = {.rate = 1'000'000}}, nullptr);  // A burst of 50,000 bytes.
  Lane& lane = meter.from_host();
  EXPECT_TRUE(lane.has_rate());
  EXPECT_FALSE(meter.to_host().has_rate());
  EXPECT_EQ(lane.claim(1 << 20, kNow), 50'000u);
  lane.settle(50'000, 20'000, kNow);
  EXPECT_EQ(lane.claim(1 << 20, kNow), 30'000u);
  lane.settle(30'000, 30'000, kNow);
  EXPECT_EQ(lane.claim(1, kNow), 0u);
  EXPECT_FALSE(lane.used_up());
  const Instant ready = lane.ready_at(kNow);
  EXPECT_GT(ready, kNow);
  EXPECT_GE(lane.claim(1 << 20, ready), 12'500u);
}

TEST(Meter, WhatStandsOutsideCountsAsWell) {
  MeterUse run_use("");
  MeterUse use("rule");
  Meter run(run_use, {.to_host = {.bytes = 100}}, nullptr);
  Meter meter(use, {.to_host = {.bytes = 1000}}, &run);
  EXPECT_EQ(meter.to_host().claim(500, kNow), 100u);
  meter.to_host().settle(100, 60, kNow);
  EXPECT_EQ(use.to_host.used, 60u);
  EXPECT_EQ(run_use.to_host.used, 60u);
  EXPECT_EQ(use.to_host.claimed, 60u) << "what the outer one did not grant is given back";
  EXPECT_EQ(run.to_host().claim(500, kNow), 40u) << "a flow of no rule";
  run.to_host().settle(40, 40, kNow);
  EXPECT_TRUE(meter.used_up());
  EXPECT_FALSE(meter.enter());
  EXPECT_EQ(use.refused, 1u);
}

TEST(Meter, WhatDoesNotWaitPassesWholeOrNotAtAll) {
  MeterUse use("udp");
  Meter meter(use, {.to_host = {.bytes = 1000, .rate = 100'000}}, nullptr);
  Lane& lane = meter.to_host();
  EXPECT_EQ(lane.pass(900, kNow), Lane::Pass::kPasses);
  EXPECT_EQ(lane.pass(101, kNow), Lane::Pass::kUsedUp);
  EXPECT_EQ(use.to_host.claimed, 900u);
  EXPECT_EQ(lane.pass(100, kNow), Lane::Pass::kPasses);
  EXPECT_TRUE(lane.used_up());

  MeterUse other("udp2");
  Meter slow(other, {.to_host = {.rate = 1000}}, nullptr);  // A burst of 4,096 bytes.
  EXPECT_EQ(slow.to_host().pass(60'000, kNow), Lane::Pass::kPasses) << "it leaves a debt";
  EXPECT_EQ(slow.to_host().pass(0, kNow), Lane::Pass::kOverRate);
  EXPECT_EQ(slow.to_host().pass(1, kNow + 50s), Lane::Pass::kOverRate);
  EXPECT_EQ(slow.to_host().pass(1, kNow + 57s), Lane::Pass::kPasses);
}

TEST(Meter, FlowsHaveSoManyPlaces) {
  MeterUse use("few");
  Meter meter(use, {.flows = 2}, nullptr);
  EXPECT_TRUE(meter.enter());
  EXPECT_TRUE(meter.enter());
  EXPECT_FALSE(meter.enter());
  EXPECT_EQ(use.refused, 1u);
  meter.leave();
  EXPECT_TRUE(meter.enter());
  meter.join();
  EXPECT_EQ(use.flows, 3u) << "one that lives is not turned away";
}

TEST(Meter, SeveralThreadsShareAQuotaToTheByte) {
  constexpr std::uint64_t kQuota = 10'000'000;
  MeterUse use("shared");
  Meter meter(use, {.to_host = {.bytes = kQuota}}, nullptr);
  MeterUse places("places");
  Meter few(places, {.flows = 100}, nullptr);
  std::atomic<std::uint64_t> moved{0};
  std::atomic<std::uint32_t> entered{0};
  std::vector<std::jthread> threads;
  for (std::size_t t = 1; t <= 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) entered += few.enter() ? 1U : 0U;
      while (!meter.to_host().used_up()) {
        const std::size_t claimed = meter.to_host().claim(700 * t + 1, kNow);
        const std::size_t used = claimed - claimed / 3;
        meter.to_host().settle(claimed, used, kNow);
        moved += used;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(moved, kQuota);
  EXPECT_EQ(use.to_host.used, kQuota);
  EXPECT_EQ(use.to_host.claimed, kQuota);
  EXPECT_EQ(entered, 100u);
}

}  // namespace
}  // namespace sluice::policy
