#include "trace/trace_ring.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

namespace sluice::trace {
namespace {

TEST(TraceRing, KeepsWhatWasWritten) {
  TraceRing ring(8);
  EXPECT_TRUE(ring.records().empty());
  ring.write(TraceEvent::kBytesToHost, 7, 1000, 24);
  ring.write(TraceEvent::kFlowClosed, 7, 1, 0);
  const auto records = ring.records();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].event, TraceEvent::kBytesToHost);
  EXPECT_EQ(records[0].flow, 7u);
  EXPECT_EQ(records[0].a, 1000u);
  EXPECT_EQ(records[0].b, 24u);
  EXPECT_EQ(records[1].event, TraceEvent::kFlowClosed);
  EXPECT_GT(records[0].time_ns, 0u);
  EXPECT_LE(records[0].time_ns, records[1].time_ns);
  EXPECT_EQ(ring.overwritten(), 0u);
}

TEST(TraceRing, OverwritesTheOldestAndCountsThem) {
  TraceRing ring(8);
  for (std::uint32_t i = 0; i < 8; ++i) ring.write(TraceEvent::kFrameIn, i, 0, 0);
  EXPECT_EQ(ring.overwritten(), 0u);
  for (std::uint32_t i = 8; i < 21; ++i) ring.write(TraceEvent::kFrameIn, i, 0, 0);
  EXPECT_EQ(ring.overwritten(), 13u);
  const auto records = ring.records();
  ASSERT_EQ(records.size(), 8u);
  for (std::uint32_t i = 0; i < 8; ++i) EXPECT_EQ(records[i].flow, 13 + i);
}

TEST(TraceRing, TwoWritersLoseNothing) {
  constexpr std::uint32_t kEach = 4096;
  TraceRing ring(2 * kEach);
  const auto write = [&ring](std::uint32_t first) {
    for (std::uint32_t i = 0; i < kEach; ++i) ring.write(TraceEvent::kFrameIn, first + i, 0, 0);
  };
  std::thread other(write, kEach);
  write(0);
  other.join();
  std::set<std::uint32_t> seen;
  for (const TraceRecord& record : ring.records()) seen.insert(record.flow);
  EXPECT_EQ(seen.size(), 2 * kEach);
}

}  // namespace
}  // namespace sluice::trace
