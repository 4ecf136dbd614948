// What holds sluice when the command has ended, and what becomes of the rest.
#include "unit/flow/tcp/hand_over_fixture.h"

namespace sluice::flow::test {
namespace {

class TcpDrain : public HandOverFixture {
 protected:
  [[nodiscard]] std::size_t held() { return tcp().undelivered(now).flows; }
  [[nodiscard]] std::uint64_t bytes_held() { return tcp().undelivered(now).bytes; }

  void begin() { tcp().begin_drain(now); }
  // `length` bytes of which `buffered` find no room in the host's kernel.
  void send_into_spill(Connection& c, std::size_t length, std::uint32_t buffered) {
    feed(data(c, c.sent, length));
    c.next += static_cast<std::uint32_t>(length);
    c.sent += length;
    tcp().on_written(c.id, {length, buffered, 0}, {now, sink});
    collect();
  }
  void host_takes_rest(const Connection& c, std::uint32_t left, std::uint32_t room = 0) {
    tcp().on_room(c.id, left, room, {now, sink});
    collect();
  }
  void close(Connection& c) {
    feed(fin(c));
    c.next += 1;
  }
  std::vector<TcpFlows::GivenUp> shut_down() {
    clear();
    auto given_up = engine().shut_down({now, sink});
    collect();
    return given_up;
  }
};

TEST_F(TcpDrain, AStillConnectionHoldsNobody) {
  (void)establish();
  pass(60s);
  begin();
  EXPECT_EQ(held(), 1u);  // Its last words may lie in the tap.
  EXPECT_EQ(tcp().undelivered(now).until, now + 200ms);
  pass(199ms);
  EXPECT_EQ(held(), 1u);
  pass(1ms);
  EXPECT_EQ(held(), 0u);
}

TEST_F(TcpDrain, OneThatOnlyReadsHoldsNobody) {
  Connection c = establish();
  begin();
  for (int i = 0; i < 5; ++i) {
    pass(100ms);
    host_sends(c, stream(0, 1000));
    feed(ack(c));
  }
  EXPECT_EQ(held(), 0u);
}

TEST_F(TcpDrain, BytesHoldAsLongAsTheHostTakesSome) {
  Connection c = establish();
  send_into_spill(c, 3000, 3000);
  close(c);
  begin();
  for (std::uint32_t left = 2500; left > 0; left -= 500) {
    pass(203s);
    EXPECT_EQ(held(), 1u);
    EXPECT_EQ(bytes_held(), left + 500u);
    host_takes_rest(c, left);
  }
  pass(203s);
  EXPECT_EQ(held(), 1u);
  pass(1s);
  EXPECT_EQ(held(), 0u);  // As long as a kernel would wait.
}

TEST_F(TcpDrain, AWindowThatWasJustOpenedIsNotQuiet) {
  Connection c = establish();
  send_into_spill(c, 50'000, 50'000);
  begin();
  pass(30s);
  EXPECT_EQ(held(), 1u);
  frames.clear();
  host_takes_rest(c, 0, 500'000);
  EXPECT_FALSE(frames.empty());  // The guest is told.
  EXPECT_EQ(bytes_held(), 0u);
  EXPECT_EQ(held(), 1u);
  pass(199ms);
  EXPECT_EQ(held(), 1u);
  send(c, 1000);
  pass(199ms);
  EXPECT_EQ(held(), 1u);
  pass(1ms);
  EXPECT_EQ(held(), 0u);
}

TEST_F(TcpDrain, AGapHoldsUntilItIsClosed) {
  Connection c = establish();
  feed(data(c, 1000, 1000));
  begin();
  pass(100s);
  EXPECT_EQ(held(), 1u);
  feed(data(c, 0, 1000));
  tcp().on_written(c.id, {2000, 0, 64 * 1024}, {now, sink});
  collect();
  pass(200ms);
  EXPECT_EQ(held(), 0u);
}

TEST_F(TcpDrain, WhatTheHostsKernelHasIsDelivered) {
  Connection c = establish();
  send(c, 1000);
  close(c);
  begin();
  EXPECT_EQ(held(), 0u);
  EXPECT_TRUE(shut_down().empty());
  EXPECT_FALSE(all<CloseTcp>().at(0).reset);
  EXPECT_EQ(outcome(), policy::Outcome::kOpen);
}

TEST_F(TcpDrain, AConnectHoldsNobody) {
  feed(syn({}));
  begin();
  EXPECT_EQ(held(), 0u);
  EXPECT_TRUE(shut_down().empty());
  EXPECT_EQ(all<CloseTcp>().size(), 1u);
}

TEST_F(TcpDrain, OneThatWasJustAcceptedMayHaveBytesOnTheirWay) {
  (void)connect();
  begin();
  EXPECT_EQ(held(), 1u);
  pass(200ms);
  EXPECT_EQ(held(), 0u);
}

TEST_F(TcpDrain, HandOverThatIsAskedForHolds) {
  (void)asked();
  begin();
  pass(60s);
  EXPECT_EQ(held(), 1u);
}

TEST_F(TcpDrain, CarriedBytesHold) {
  const Connection c = handed_over();
  begin();
  pass(200ms);
  EXPECT_EQ(held(), 0u);
  tcp().on_carried_waiting(c.id, 5000, false);
  EXPECT_EQ(held(), 1u);
  EXPECT_EQ(bytes_held(), 5000u);
  pass(203s);
  tcp().on_carried(c.id, 3000, 0, now);
  tcp().on_carried_waiting(c.id, 2000, false);
  pass(203s);
  EXPECT_EQ(held(), 1u);
  pass(1s);
  EXPECT_EQ(held(), 0u);
  tcp().on_carried(c.id, 5000, 0, now);
  tcp().on_carried_waiting(c.id, 0, false);
  EXPECT_EQ(held(), 1u);  // The guest may answer to its window.
  tcp().on_carried_waiting(c.id, 0, true);
  EXPECT_EQ(held(), 0u);
}

TEST_F(TcpDrain, AHalfToldStreamIsReset) {
  Connection c = establish();
  send_into_spill(c, 3000, 2000);
  begin();
  const auto given_up = shut_down();
  ASSERT_EQ(given_up.size(), 1u);
  EXPECT_EQ(given_up[0].key.remote, kServer);
  EXPECT_EQ(given_up[0].bytes, 2000u);
  EXPECT_TRUE(all<CloseTcp>().at(0).reset);
  EXPECT_EQ(outcome(), policy::Outcome::kGivenUp);
  EXPECT_EQ(all<ReportFlow>()[0].summary.bytes_to_host, 1000u);
  EXPECT_EQ(drops(DropReason::kTcpGivenUp), 1u);
}

TEST_F(TcpDrain, AFinBehindBytesThatWaitIsNotToldByAClose) {
  Connection c = establish();
  send_into_spill(c, 3000, 2000);
  close(c);
  EXPECT_EQ(shut_down().size(), 1u);
  EXPECT_TRUE(all<CloseTcp>().at(0).reset);
}

TEST_F(TcpDrain, AStillConnectionIsResetWithoutAWord) {
  Connection c = establish();
  send(c, 1000);
  begin();
  pass(1s);
  EXPECT_TRUE(shut_down().empty());
  EXPECT_TRUE(all<CloseTcp>().at(0).reset);
  EXPECT_EQ(outcome(), policy::Outcome::kOpen);
  EXPECT_EQ(drops(DropReason::kTcpGivenUp), 0u);
}

TEST_F(TcpDrain, ACarriedStreamEndsAsItsHostHasIt) {
  const Connection a = handed_over({.guest = endpoint("10.0.2.15:40001")});
  const Connection b = handed_over({.guest = endpoint("10.0.2.15:40002")});
  tcp().on_carried_waiting(a.id, 0, true);
  tcp().on_carried_waiting(b.id, 700, false);
  const auto given_up = shut_down();
  ASSERT_EQ(given_up.size(), 1u);
  EXPECT_EQ(given_up[0].bytes, 700u);
  for (const CloseTcp& one : all<CloseTcp>()) EXPECT_EQ(one.reset, one.flow == b.id);
}

}  // namespace
}  // namespace sluice::flow::test
