// The probe points of this file are switched on and off while it runs.
#include "trace/trace_sites.h"

#include <gtest/gtest.h>

#include "trace/probe.h"

namespace sluice::trace {
namespace {

// A function that a compiler would like to fold away, or to copy to where it is called.
[[gnu::noinline]] std::uint32_t sum_up(std::uint32_t flow, std::uint32_t count) {
  std::uint32_t sum = 0;
  for (std::uint32_t i = 1; i <= count; ++i) {
    sum += i;
    SLUICE_PROBE(bytes_to_host, flow, i, sum);
  }
  SLUICE_PROBE(flow_closed, flow, sum, 0);
  return sum;
}

template <typename T>
T twice(std::uint32_t flow, T value) {
  SLUICE_PROBE(bytes_to_guest, flow, value, 0);
  return value + value;
}

class TraceSites : public testing::Test {
 protected:
  void SetUp() override {
#if !SLUICE_PROBES
    GTEST_SKIP() << "built without probes";
#endif
  }
  void TearDown() override { EXPECT_TRUE(stop_trace()); }

  TraceRing ring_{64};
};

TEST_F(TraceSites, WriteNothingUntilTheyAreOn) {
  EXPECT_EQ(sum_up(3, 4), 10u);
  EXPECT_TRUE(ring_.records().empty());
#ifdef __x86_64__
  EXPECT_GE(trace_site_count(), 3u);
#endif
}

TEST_F(TraceSites, WriteWhatThePointsSayAndChangeNoResult) {
  ASSERT_TRUE(start_trace(ring_, TraceEvents::all()));
  EXPECT_EQ(sum_up(3, 4), 10u);
  const auto records = ring_.records();
  ASSERT_EQ(records.size(), 5u);
  for (std::uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(records[i].event, TraceEvent::kBytesToHost);
    EXPECT_EQ(records[i].flow, 3u);
    EXPECT_EQ(records[i].a, i + 1);
    EXPECT_EQ(records[i].b, (i + 1) * (i + 2) / 2);
  }
  EXPECT_EQ(records[4].event, TraceEvent::kFlowClosed);
  EXPECT_EQ(records[4].a, 10u);
}

TEST_F(TraceSites, OnlyTheEventsAskedFor) {
  ASSERT_TRUE(start_trace(ring_, TraceEvents().with(TraceEvent::kFlowClosed)));
  (void)sum_up(3, 4);
  ASSERT_EQ(ring_.records().size(), 1u);
  EXPECT_EQ(ring_.records()[0].event, TraceEvent::kFlowClosed);
}

TEST_F(TraceSites, InlinedCopiesWriteToo) {
  ASSERT_TRUE(start_trace(ring_, TraceEvents::all()));
  EXPECT_EQ(twice(1, std::uint32_t{20}), 40u);
  EXPECT_EQ(twice(2, std::uint64_t{21}), 42u);
  ASSERT_EQ(ring_.records().size(), 2u);
  EXPECT_EQ(ring_.records()[0].a, 20u);
  EXPECT_EQ(ring_.records()[1].a, 21u);
}

TEST_F(TraceSites, MayBeSwitchedOftenAndToAnotherRing) {
  TraceRing other(64);
  ASSERT_TRUE(start_trace(ring_, TraceEvents::all()));
  ASSERT_TRUE(start_trace(other, TraceEvents::all()));
  (void)sum_up(1, 1);
  ASSERT_TRUE(stop_trace());
  (void)sum_up(1, 1);
  ASSERT_TRUE(stop_trace());
  EXPECT_TRUE(ring_.records().empty());
  EXPECT_EQ(other.records().size(), 2u);
}

TEST(TraceEventNames, AreFoundAgain) {
  for (std::size_t i = 0; i < kTraceEventNames.size(); ++i) {
    EXPECT_EQ(to_string(static_cast<TraceEvent>(i)), kTraceEventNames[i]);
    EXPECT_TRUE(TraceEvents::all().has(static_cast<TraceEvent>(i)));
  }
  static_assert(trace_event("flow_closed") == TraceEvent::kFlowClosed);
  static_assert(to_string(TraceEvent::kFlowClosed) == "flow_closed");
}

}  // namespace
}  // namespace sluice::trace
