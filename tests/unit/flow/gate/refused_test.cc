#include "flow/gate/refused.h"

#include <gtest/gtest.h>

#include "unit/flow/engine/guest_frames.h"

namespace sluice::flow::test {
namespace {

class RefusedTest : public testing::Test {
 protected:
  Refused::Next segment(std::uint32_t sequence, std::uint32_t acknowledgment, wire::TcpFlags flags,
                        std::size_t payload = 0) {
    Bytes bytes(wire::TcpView::kHeaderSize + payload);
    wire::TcpRepr{.source_port = key.guest.port,
                  .destination_port = key.remote.port,
                  .sequence = wire::SeqNum{sequence},
                  .acknowledgment = wire::SeqNum{acknowledgment},
                  .flags = flags,
                  .options = {}}
        .emit(MutableBytes(bytes).first(wire::TcpView::kHeaderSize));
    const auto view = wire::TcpView::parse(bytes);
    EXPECT_TRUE(view);
    sink.frames().clear();
    return refused.on_segment(end(), *view, sink);
  }
  Refused::Next timer() {
    sink.frames().clear();
    return refused.on_timer(end(), sink);
  }
  [[nodiscard]] Refused::End end() const { return {key, link, 1460}; }

  GuestNetwork network;
  GuestLink link{network, {}};
  FlowKey key{endpoint("10.0.2.15:40000"), endpoint("198.51.100.7:80"), wire::IpProtocol::kTcp};
  ActionSink sink;
  Refused refused{.guest_next = wire::SeqNum{100}, .acked = wire::SeqNum{500}, .answer = Bytes(7)};
};

using Next = Refused::Next;

TEST_F(RefusedTest, ItEndsOnceBothSidesAreThrough) {
  EXPECT_EQ(segment(100, 508, wire::kAck), Next::kStays);
  EXPECT_EQ(sink.frames().size(), 0U);
  EXPECT_EQ(segment(100, 508, wire::kFin | wire::kAck), Next::kClosed);
  EXPECT_EQ(sink.frames().size(), 1U);
  EXPECT_EQ(segment(100, 508, wire::kFin | wire::kAck), Next::kStays);  // A repeat.
  EXPECT_EQ(sink.frames().size(), 1U);
  EXPECT_EQ(timer(), Next::kGone);
}

TEST_F(RefusedTest, WhatTheGuestSaysIsForgotten) {
  EXPECT_EQ(segment(100, 500, wire::kAck, 50), Next::kStays);
  EXPECT_EQ(refused.guest_next, wire::SeqNum{150});
  EXPECT_EQ(segment(100, 500, wire::kAck, 50), Next::kStays);
  EXPECT_EQ(refused.guest_next, wire::SeqNum{150});
  EXPECT_EQ(segment(200, 500, wire::kFin | wire::kAck, 50), Next::kStays);  // Behind a gap.
  EXPECT_EQ(refused.guest_next, wire::SeqNum{150});
  EXPECT_FALSE(refused.guest_finished);
}

TEST_F(RefusedTest, NumbersThatWereNeverSentAreNotBelieved) {
  EXPECT_EQ(segment(100, 509, wire::kAck), Next::kStays);
  EXPECT_EQ(refused.acked, wire::SeqNum{500});
}

TEST_F(RefusedTest, ResetsAndNewConnectionsAreToldFromForgedOnes) {
  EXPECT_EQ(segment(90, 0, wire::kRst), Next::kStays);
  EXPECT_EQ(segment(90, 0, wire::kSyn), Next::kStays);
  EXPECT_EQ(segment(101, 0, wire::kSyn), Next::kReopened);
  EXPECT_EQ(segment(100, 0, wire::kRst), Next::kGone);
}

TEST_F(RefusedTest, ItIsRepeatedSoOftenAndThenReset) {
  for (int i = 0; i < Refused::kResendsMax; ++i) {
    EXPECT_EQ(timer(), Next::kStays);
    EXPECT_EQ(sink.frames().size(), 1U);
  }
  EXPECT_EQ(timer(), Next::kGone);
  EXPECT_EQ(sink.frames().size(), 1U);
}

}  // namespace
}  // namespace sluice::flow::test
