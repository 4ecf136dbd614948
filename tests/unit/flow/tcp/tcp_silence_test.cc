// Connections that say nothing: keep-alives of the guest's, and a guest that has forgotten.
#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

class TcpSilence : public TcpFixture {
 protected:
  // As Linux sends it: no byte, one number too low.
  static GuestSegment keep_alive(const Connection& c) {
    GuestSegment segment = ack(c);
    segment.sequence = c.next - 1;
    return segment;
  }
  // As a kernel answers that knows of no such connection.
  static GuestSegment unknown_here(const Connection& c) {
    GuestSegment segment = rst(c);
    segment.acknowledgment = {};
    return segment;
  }
  // Closed by the guest, which the host knows, and open for what the host sends.
  Connection half_closed() {
    Connection c = establish();
    feed(fin(c));
    c.next += 1;
    EXPECT_EQ(all<ShutdownTcp>().size(), 1u);
    clear();
    return c;
  }
};

TEST_F(TcpSilence, AKeepAliveIsTheHostsToAnswer) {
  const Connection c = establish();
  pass(60s);
  feed(keep_alive(c));
  EXPECT_TRUE(frames.empty());
  const auto probe = take<ProbeTcp>();
  EXPECT_EQ(probe.flow, c.id);
  EXPECT_EQ(probe.idle, 60s);
  tcp().on_probed(c.id, true, sink);
  collect();
  const Received answer = take_frame();
  EXPECT_EQ(answer.tcp().acknowledgment(), c.next);
  EXPECT_EQ(answer.tcp().sequence(), c.host_next);
}

TEST_F(TcpSilence, AHostThatDoesNotAnswerMakesUsSilent) {
  const Connection c = establish();
  for (int i = 0; i < 3; ++i) {
    pass(10s);
    feed(keep_alive(c));
    EXPECT_EQ(take<ProbeTcp>().idle, 10s);
    tcp().on_probed(c.id, false, sink);
    collect();
  }
  EXPECT_TRUE(frames.empty());
  feed(rst(c));  // The guest's own conclusion.
  EXPECT_TRUE(take<CloseTcp>().reset);
}

TEST_F(TcpSilence, AGuestAtAClosedWindowIsAnsweredByUs) {
  Connection c = establish();
  const auto open = [&] {
    const auto& state = std::get<Relaying>(flow(c)->state);
    return state.rx.window_edge - state.rx.received;
  };
  while (open() > 0) {
    const auto size = static_cast<std::uint32_t>(std::min(open(), 32 * 1024));
    feed(data(c, c.sent, size));
    c.next += size;
    c.sent += size;
    tcp().on_written(c.id, {size, static_cast<std::uint32_t>(c.sent), 0}, {now, sink});
    collect();
  }
  clear();
  feed(keep_alive(c));
  EXPECT_TRUE(all<ProbeTcp>().empty());
  EXPECT_EQ(frames.size(), 1u);
}

TEST_F(TcpSilence, ProbesOfUnknownFlowsAreIgnored) {
  tcp().on_probed(TcpId{SlabHandle{7, 9}}, true, sink);
  collect();
  EXPECT_TRUE(frames.empty());
}

TEST_F(TcpSilence, AHalfClosedGuestIsAskedWhetherItKnowsUs) {
  const Connection c = half_closed();
  for (int i = 0; i < 4; ++i) {
    pass(5s);
    const Received question = take_frame();
    EXPECT_EQ(question.tcp().sequence(), c.host_next - 1);
    EXPECT_TRUE(question.tcp().payload().empty());
    feed(ack(c));
    EXPECT_TRUE(actions.empty());
    EXPECT_TRUE(frames.empty());
  }
}

TEST_F(TcpSilence, OneThatHasForgottenLetsTheHostGoQuietly) {
  const Connection c = half_closed();
  pass(75s);
  clear();
  feed(unknown_here(c));
  const auto closed = take<CloseTcp>();
  EXPECT_FALSE(closed.reset);
  EXPECT_TRUE(closed.forgotten);
  EXPECT_EQ(engine().flow_count(), 0u);
}

TEST_F(TcpSilence, OneThatRefusesWhatTheHostSentIsAReset) {
  Connection c = half_closed();
  host_sends(c, stream(0, 100));
  feed(unknown_here(c));
  EXPECT_TRUE(all<CloseTcp>().at(0).reset);
}

TEST_F(TcpSilence, AProgramThatAbortsIsAReset) {
  const Connection c = half_closed();
  GuestSegment abort = rst(c);
  abort.flags = wire::kRst | wire::kAck;
  feed(abort);
  EXPECT_TRUE(all<CloseTcp>().at(0).reset);
}

TEST_F(TcpSilence, AnOpenConnectionIsNotAsked) {
  (void)establish();
  pass(10min);
  EXPECT_TRUE(frames.empty());
  EXPECT_TRUE(actions.empty());
}

TEST_F(TcpSilence, OneWhoseHostHasEndedTooIsNotAsked) {
  Connection c = half_closed();
  host_ends(c);
  clear();
  feed(ack(c));
  pass(10min);
  EXPECT_TRUE(frames.empty());
}

}  // namespace
}  // namespace sluice::flow::test
