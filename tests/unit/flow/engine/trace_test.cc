// The probe points of the core, on one connection: that they are passed, in which order, and with
// which values.
#include <gtest/gtest.h>

#include "trace/trace_sites.h"
#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

class TraceTest : public TcpFixture {
 protected:
  void SetUp() override {
#if SLUICE_PROBES
    ASSERT_TRUE(trace::start_trace(ring_, trace::TraceEvents::all()));
#else
    GTEST_SKIP() << "built without probes";
#endif
  }
  void TearDown() override { EXPECT_TRUE(trace::stop_trace()); }

  // What was written since the last call.
  std::vector<trace::TraceRecord> fresh() {
    std::vector<trace::TraceRecord> all = ring_.records();
    all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(seen_));
    seen_ += all.size();
    return all;
  }
  static std::vector<trace::TraceEvent> events(const std::vector<trace::TraceRecord>& records) {
    std::vector<trace::TraceEvent> all;
    for (const trace::TraceRecord& record : records) all.push_back(record.event);
    return all;
  }
  using Events = std::vector<trace::TraceEvent>;

 private:
  trace::TraceRing ring_{1024};
  std::size_t seen_ = 0;
};

TEST_F(TraceTest, AConnectCycleInItsOrder) {
  Connection c = connect();
  auto records = fresh();
  ASSERT_EQ(events(records),
            (Events{trace::TraceEvent::kFrameIn, trace::TraceEvent::kFlowCreated,
                    trace::TraceEvent::kConnectDone, trace::TraceEvent::kSynAckQueued}));
  EXPECT_EQ(records[0].flow, trace::kNoTraceFlow);
  EXPECT_EQ(records[0].b, wire::kSyn.bits);
  EXPECT_EQ(records[1].flow, c.id.index);
  EXPECT_EQ(records[1].a, 40'000u);
  EXPECT_EQ(records[1].b, 80u);

  feed(ack(c));
  send(c, 100);
  records = fresh();
  ASSERT_EQ(events(records),
            (Events{trace::TraceEvent::kFrameIn, trace::TraceEvent::kFrameIn,
                    trace::TraceEvent::kBytesToHost, trace::TraceEvent::kWindowUpdate}));
  EXPECT_EQ(records[1].flow, c.id.index);
  EXPECT_EQ(records[1].a, 100u);
  EXPECT_EQ(records[2].a, 100u);
  EXPECT_EQ(records[3].a, c.next.value);

  host_sends(c, Bytes(300, 0x5a));
  host_ends(c);
  records = fresh();
  ASSERT_EQ(events(records),
            (Events{trace::TraceEvent::kBytesToGuest, trace::TraceEvent::kBytesToGuest}));
  EXPECT_EQ(records[0].a, 300u);
  EXPECT_EQ(records[0].b, 0u);
  EXPECT_EQ(records[1].b, 1u);

  feed(fin(c));
  records = fresh();
  ASSERT_EQ(events(records), (Events{trace::TraceEvent::kFrameIn, trace::TraceEvent::kWindowUpdate,
                                     trace::TraceEvent::kFlowClosed}));
  EXPECT_EQ(records[2].a, static_cast<std::uint32_t>(policy::Outcome::kClosed));
}

TEST_F(TraceTest, ARefusedConnect) {
  feed(syn({}));
  const TcpId id = take<ConnectTcp>().flow;
  tcp().on_connect_failed(id, HostError::kRefused, {now, sink});
  collect();
  const auto records = fresh();
  ASSERT_EQ(events(records),
            (Events{trace::TraceEvent::kFrameIn, trace::TraceEvent::kFlowCreated,
                    trace::TraceEvent::kConnectDone, trace::TraceEvent::kFlowClosed}));
  EXPECT_EQ(records[2].a, static_cast<std::uint32_t>(HostError::kRefused) + 1);
  EXPECT_EQ(records[3].a, static_cast<std::uint32_t>(policy::Outcome::kRefused));
}

TEST_F(TraceTest, WhatIsSentAgain) {
  Connection c = connect();
  (void)fresh();
  pass(1s);
  EXPECT_EQ(events(fresh()), Events{trace::TraceEvent::kRetransmit});  // The SYN-ACK.
  feed(ack(c));
  host_sends(c, Bytes(300, 0x5a));
  (void)fresh();
  pass(2s);
  const auto records = fresh();
  ASSERT_FALSE(records.empty());
  EXPECT_EQ(records[0].event, trace::TraceEvent::kRetransmit);
  EXPECT_EQ(records[0].a, 300u);
}

}  // namespace
}  // namespace sluice::flow::test
