// TcpIo over a kernel that fails as scripted: what it makes of short writes, full sockets, broken
// connections and a lack of descriptors.
#include "driver/io/tcp_io.h"

#include <gtest/gtest.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "unit/driver/io/tcp_io_fixture.h"
#include "unit/link/test_link.h"

namespace sluice::driver {
namespace {

using flow::test::Bytes;
using test::TcpIoTest;
using namespace std::chrono_literals;

TEST_F(TcpIoTest, WhatAShortWriteLeavesFollowsWhenTheSocketIsWritable) {
  Connection c = open();
  kernel.script("sendmsg", 300);
  kernel.script("sendmsg", -1, EAGAIN);
  send_bytes(c, 1000);
  // All of it is ours, so all of it is acknowledged.
  ASSERT_FALSE(frames.empty());
  EXPECT_EQ(frames.back().tcp().acknowledgment(), c.next);
  EXPECT_EQ(std::get<flow::Relaying>(flow(c)->state).rx.buffered, 700U);

  // More waits behind it, without another try: the kernel said that it is full.
  const std::size_t sends = kernel.count("sendmsg");
  kernel.script("sendmsg", -1, EAGAIN);
  send_bytes(c, 100);
  EXPECT_LE(kernel.count("sendmsg"), sends + 1);
  EXPECT_EQ(std::get<flow::Relaying>(flow(c)->state).rx.buffered, 800U);

  event(EPOLLOUT);
  EXPECT_EQ(kernel.last("sendmsg")->first, 800);
  EXPECT_EQ(std::get<flow::Relaying>(flow(c)->state).rx.buffered, 0U);
}

// What was free when the engine looked may be gone when its order is carried out.
TEST_F(TcpIoTest, AStashThatFoundNoRoomIsNotBelieved) {
  const Connection c = open();
  const std::uint8_t byte = 1;
  const std::size_t blocks = TcpIo::kSpillMax / BlockPool::kBlockSize;
  for (std::size_t i = 1; i <= blocks; ++i) {
    io->stash({.flow = id, .offset = i * BlockPool::kBlockSize, .bytes = ByteView(&byte, 1)},
              {now, sink});
  }
  tcp().set_spill_free(TcpIo::kSpillMax);
  const Bytes late = flow::test::tcp_frame(network(), data(c, 100, 100));
  const Bytes first = flow::test::tcp_frame(network(), data(c, 0, 100));
  engine().on_frame(late, {}, {now, sink});
  engine().on_frame(first, {}, {now, sink});
  engine().end_burst(flow::BurstEnd::kDrained, {now, sink});
  settle();
  ASSERT_NE(flow(c), nullptr);
  ASSERT_NE(kernel.last("sendmsg"), nullptr);
  EXPECT_EQ(kernel.count("sendmsg"), 1U);
  ASSERT_FALSE(frames.empty());
  EXPECT_EQ(frames.back().tcp().acknowledgment(), c.next + 100);
  EXPECT_GE(drops(flow::DropReason::kTcpBufferFull), 1U);
}

TEST_F(TcpIoTest, AFinWaitsForTheBytesBeforeIt) {
  Connection c = open();
  kernel.script("sendmsg", -1, EAGAIN);
  kernel.script("sendmsg", -1, EAGAIN);
  send_bytes(c, 500);
  burst(fin(c));
  EXPECT_EQ(kernel.count("shutdown"), 0U);
  event(EPOLLOUT);
  EXPECT_EQ(kernel.count("shutdown"), 1U);
}

TEST_F(TcpIoTest, WithoutDescriptorsTheGuestIsRefusedAndItIsCounted) {
  const Connection old = open();
  kernel.script("socket", -1, EMFILE);
  burst(syn({.guest = flow::test::endpoint("10.0.2.15:40001")}));
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_TRUE(frames.back().tcp().flags().rst());
  EXPECT_EQ(drops(flow::DropReason::kNoDescriptors), 1U);
  EXPECT_NE(flow(old), nullptr);  // The old flow lives on.
}

TEST_F(TcpIoTest, ABrokenHostConnectionResetsTheGuest) {
  Connection c = open();
  kernel.script("sendmsg", -1, ECONNRESET);
  send_bytes(c, 10);
  ASSERT_FALSE(frames.empty());
  EXPECT_TRUE(frames.back().tcp().flags().rst());
  EXPECT_EQ(flow(c), nullptr);
  EXPECT_FALSE(kernel.closed.empty());
}

// Bytes are sent from the guest's own memory, which may be gone.
TEST_F(TcpIoTest, BytesThatAreGoneResetTheirConnectionAndNoOther) {
  const Connection other = open();
  const flow::TcpId other_id = id;
  burst(syn({.guest = flow::test::endpoint("10.0.2.15:40001")}));
  event(EPOLLOUT);
  Connection c{.id = id,
               .guest = flow::test::endpoint("10.0.2.15:40001"),
               .remote = flow::test::kServer,
               .next = wire::SeqNum{1000},
               .host_next = frames.back().tcp().sequence() + 1};
  burst(ack(c));
  clear();
  kernel.script("sendmsg", -1, EFAULT);
  send_bytes(c, 5000);
  ASSERT_FALSE(frames.empty());
  EXPECT_TRUE(frames.back().tcp().flags().rst());
  EXPECT_EQ(frames.back().tcp().destination_port(), c.guest.port);
  EXPECT_EQ(flow(c), nullptr);
  EXPECT_TRUE(io->has_late_resets() || !kernel.closed.empty()) << "the host is reset as well";
  ASSERT_NE(flow(other), nullptr);
  EXPECT_EQ(io->failure(other_id), 0);
}

// A connection whose bytes are borrowed from memory that may go.
class TcpIoBorrowTest : public test::TcpIoTest {
 protected:
  TcpIoBorrowTest() {
    io->set_link(memory);
    c = open();
    kernel.closed.clear();
    sent_before = kernel.count("sendmsg");
    options_before = kernel.count("setsockopt");
  }
  void expect_reset() {
    EXPECT_EQ(flow(c), nullptr);
    ASSERT_FALSE(frames.empty());
    EXPECT_TRUE(frames.back().tcp().flags().rst());
    EXPECT_FALSE(io->has_late_resets()) << "nothing of it is delivered any more";
    EXPECT_EQ(kernel.closed.size(), 1U);
    EXPECT_EQ(kernel.count("setsockopt"), options_before) << "it is guarded, which closing ends";
  }

  link::TestLink memory;
  Connection c;
  std::size_t sent_before = 0;
  std::size_t options_before = 0;
};

// What it did not take is copied, by when there may be zeros in its place.
TEST_F(TcpIoBorrowTest, BytesThatGoWhileTheKernelTakesThemAreNotDelivered) {
  memory.intact = [&] { return kernel.count("sendmsg") == sent_before; };
  kernel.script("sendmsg", 2000);
  send_bytes(c, 5000);
  EXPECT_EQ(kernel.count("sendmsg"), sent_before + 1) << "what was copied is not sent";
  expect_reset();
}

TEST_F(TcpIoBorrowTest, BytesThatGoBehindOthersThatWaitTakeTheseWithThem) {
  kernel.script("sendmsg", -1, EAGAIN);
  kernel.script("sendmsg", -1, EAGAIN);
  send_bytes(c, 500);
  memory.intact = [] { return false; };
  send_bytes(c, 500);
  EXPECT_EQ(kernel.count("sendmsg"), sent_before + 2);
  expect_reset();
}

TEST_F(TcpIoBorrowTest, NothingIsSentOfMemoryThatIsGone) {
  memory.intact = [] { return false; };
  send_bytes(c, 5000);
  EXPECT_EQ(kernel.count("sendmsg"), sent_before);
  expect_reset();
}

TEST_F(TcpIoBorrowTest, NothingOfItIsKeptForLaterEither) {
  memory.intact = [] { return false; };
  burst(data(c, 100, 100));
  expect_reset();
}

TEST_F(TcpIoTest, AResetBehindAConnectIsNoRefusal) {
  burst(syn({}));
  kernel.script_value(ECONNRESET);
  event(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDHUP);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_TRUE(frames.back().tcp().flags().syn());
  Connection c{.id = id,
               .guest = flow::test::kGuest,
               .remote = flow::test::kServer,
               .next = wire::SeqNum{1000},
               .host_next = frames.back().tcp().sequence() + 1};
  kernel.script_data("answer");
  burst(ack(c));
  ASSERT_EQ(frames.back().tcp().payload().size(), 6U);
  EXPECT_FALSE(frames.back().tcp().flags().fin());
  c.host_next += 6;
  burst(ack(c));
  EXPECT_TRUE(frames.back().tcp().flags().rst());
  EXPECT_EQ(flow(c), nullptr);
}

TEST_F(TcpIoTest, AGuestsResetWaitsForTheBytesBeforeIt) {
  Connection c = open();
  kernel.script("sendmsg", -1, EAGAIN);
  kernel.script("sendmsg", -1, EAGAIN);
  send_bytes(c, 500);
  kernel.script("sendmsg", -1, EAGAIN);
  kernel.closed.clear();
  burst(rst(c));
  EXPECT_EQ(flow(c), nullptr);
  EXPECT_TRUE(kernel.closed.empty());
  EXPECT_TRUE(io->has_late_resets());
  kernel.script_value(500);  // Sent, and not acknowledged.
  io->on_time({now + 1ms, sink});
  EXPECT_EQ(kernel.last("sendmsg")->first, 500);
  EXPECT_TRUE(kernel.closed.empty());
  io->on_time({now + 3ms, sink});
  EXPECT_EQ(kernel.closed.size(), 1U);
  EXPECT_FALSE(io->has_late_resets());
}

TEST_F(TcpIoTest, APeerThatTakesNothingIsResetNevertheless) {
  Connection c = open();
  for (int i = 0; i < 100; ++i) kernel.script("sendmsg", -1, EAGAIN);
  send_bytes(c, 500);
  kernel.closed.clear();
  burst(rst(c));
  io->on_time({now + 900ms, sink});
  EXPECT_TRUE(io->has_late_resets());
  io->on_time({now + 1100ms, sink});
  EXPECT_FALSE(io->has_late_resets());
  EXPECT_EQ(kernel.closed.size(), 1U);
}

TEST_F(TcpIoTest, WhatAHostWithoutConnectionShouldTakeIsSwallowed) {
  Connection c = open();
  kernel.script("sendmsg", -1, ECONNRESET);
  kernel.script_data("answer");
  send_bytes(c, 10);
  ASSERT_NE(flow(c), nullptr);
  EXPECT_EQ(frames.back().tcp().payload().size(), 6U);
  const std::size_t sends = kernel.count("sendmsg");
  send_bytes(c, 10);
  EXPECT_EQ(kernel.count("sendmsg"), sends);
  EXPECT_EQ(flow(c)->bytes_to_host, 0U);
}

// A read ends in front of an urgent byte, and so does a discard.
TEST_F(TcpIoTest, AnUrgentByteIsNoEnd) {
  Connection c = open();
  kernel.script_data("before");
  event(EPOLLIN | EPOLLPRI | EPOLLRDHUP);
  ASSERT_EQ(frames.back().tcp().payload().size(), 6U);
  EXPECT_FALSE(frames.back().tcp().flags().fin());
  ASSERT_TRUE(tcp().has_deferred());
  kernel.script_data("!behind");
  tcp().run_deferred({now, sink});
  settle();
  ASSERT_EQ(frames.back().tcp().payload().size(), 7U);
  c.host_next = frames.back().tcp().sequence() + 7;
  kernel.script("recv", 6);
  burst(ack(c));
  EXPECT_EQ(kernel.last("recv")->first, 7);
  EXPECT_NE(flow(c), nullptr);
}

TEST_F(TcpIoTest, AShortDiscardEndsTheConnection) {
  Connection c = open();
  kernel.script_data("answer");
  event(EPOLLIN);
  c.host_next = frames.back().tcp().sequence() + 6;
  kernel.script("recv", 5);
  kernel.script("recv", -1, EAGAIN);
  burst(ack(c));
  EXPECT_TRUE(frames.back().tcp().flags().rst());
  EXPECT_EQ(flow(c), nullptr);
  EXPECT_EQ(drops(flow::DropReason::kTcpSocketLost), 1U);
}

TEST_F(TcpIoTest, RequestAndAnswerNeedNoPeekOffset) {
  Connection c = open();
  kernel.calls.clear();
  for (int i = 0; i < 3; ++i) {
    kernel.script_data("answer");
    event(EPOLLIN);
    ASSERT_FALSE(frames.empty());
    c.host_next = frames.back().tcp().sequence() + 6;
    clear();
    burst(ack(c));
  }
  EXPECT_EQ(kernel.count("setsockopt"), 0U);
  EXPECT_EQ(kernel.count("recv"), 3U);  // Each answer is discarded once it is acknowledged.
}

TEST_F(TcpIoTest, WhatIsInFlightIsPeekedBehind) {
  const Connection c = open();
  kernel.script_data("first");
  event(EPOLLIN);
  kernel.calls.clear();
  kernel.script_data("second");
  event(EPOLLIN);
  ASSERT_NE(kernel.last("setsockopt"), nullptr);
  EXPECT_EQ(kernel.last("setsockopt")->second, SO_PEEK_OFF);
  (void)c;
}

// However little it has carried: a server must not take our death for its end.
TEST_F(TcpIoTest, AStreamIsGuardedFromBeforeItIsConnectedUntilItsEnd) {
  Connection c = open();
  const auto is_guard = [](const sys::FakeKernel::Call& call) {
    return call.name == "setsockopt" && call.second == SO_LINGER;
  };
  const auto guards = [&] { return std::ranges::count_if(kernel.calls, is_guard); };
  EXPECT_EQ(guards(), 1);
  EXPECT_LT(std::ranges::find_if(kernel.calls, is_guard),
            std::ranges::find(kernel.calls, "connect", &sys::FakeKernel::Call::name));
  kernel.calls.clear();
  send_bytes(c, 1000);
  send_bytes(c, 17 * 1024);
  EXPECT_EQ(guards(), 0);
  burst(fin(c));
  EXPECT_EQ(kernel.count("shutdown"), 1U);
  EXPECT_EQ(guards(), 1);
}

// TCP_INFO begins with the state.
TEST_F(TcpIoTest, ATargetOnThisMachineIsAnsweredAtOnce) {
  kernel.script("connect", -1, EINPROGRESS);
  kernel.script_value(TCP_ESTABLISHED);
  burst(syn({}));
  ASSERT_FALSE(frames.empty());
  EXPECT_EQ(frames.back().tcp().flags(), wire::kSyn | wire::kAck);
  clear();
  event(EPOLLOUT);  // The loop tells of it, too.
  EXPECT_TRUE(frames.empty());
}

TEST_F(TcpIoTest, OneThatHasNotAnsweredIsWaitedFor) {
  kernel.script("connect", -1, EINPROGRESS);
  kernel.script_value(TCP_SYN_SENT);
  burst(syn({}));
  EXPECT_TRUE(frames.empty());
  event(EPOLLOUT);
  EXPECT_FALSE(frames.empty());
}

TEST_F(TcpIoTest, AConnectionFindsItsSocketPrepared) {
  io->prepare();
  EXPECT_EQ(kernel.count("socket"), 1U);  // That of the probe at the start: nobody has connected.
  burst(syn({}));
  io->prepare();
  kernel.calls.clear();
  io->prepare();
  burst(syn({.guest = {flow::test::kGuest.address, wire::Port{50'001}}}));
  EXPECT_EQ(kernel.count("socket"), 0U);
  EXPECT_EQ(kernel.count("setsockopt"), 0U);
  EXPECT_EQ(kernel.count("connect"), 1U);
}

TEST_F(TcpIoTest, WithoutDescriptorsNoneIsPrepared) {
  burst(syn({}));
  kernel.script("socket", -1, EMFILE);
  io->prepare();
  kernel.calls.clear();
  burst(syn({.guest = {flow::test::kGuest.address, wire::Port{50'001}}}));
  EXPECT_EQ(kernel.count("socket"), 1U);
  EXPECT_EQ(kernel.count("connect"), 1U);
}

TEST_F(TcpIoTest, TheKernelIsAskedForRoomOnlyWhereMuchWasSpent) {
  Connection c = open();
  kernel.calls.clear();
  for (int i = 0; i < 7; ++i) send_bytes(c, 1000);
  EXPECT_EQ(kernel.count("ioctl"), 0U);
  kernel.script_value(5000);    // Queued,
  kernel.script_value(40'000);  // of so many.
  send_bytes(c, 1400);
  EXPECT_EQ(kernel.count("ioctl"), 1U);
  EXPECT_EQ(std::get<flow::Relaying>(flow(c)->state).rx.host_room, 35'000U);
}

// Of a fresh socket the kernel is not asked how much room it has, which pays for the guard.
TEST_F(TcpIoTest, AShortConnectionIsNotAskedForItsRoom) {
  Connection c = open();
  kernel.calls.clear();
  send_bytes(c, 1000);
  send_bytes(c, 1000);
  burst(fin(c));
  EXPECT_EQ(kernel.count("ioctl"), 0U);
  EXPECT_EQ(kernel.count("getsockopt"), 0U);
  EXPECT_EQ(kernel.count("setsockopt"), 1U);
}

TEST_F(TcpIoTest, AKeepAliveIsAnsweredAsTheHostIs) {
  const Connection c = open();
  const auto keep_alive = [&] {
    auto segment = ack(c);
    segment.sequence = c.next - 1;
    now += std::chrono::seconds(30);
    clear();
    kernel.calls.clear();
    burst(segment);
    settle();
    return !frames.empty();
  };
  EXPECT_TRUE(keep_alive());
  EXPECT_EQ(kernel.count("setsockopt"), 4U);  // Asked from now on in the guest's own time.
  EXPECT_TRUE(keep_alive());
  EXPECT_EQ(kernel.count("setsockopt"), 0U);
  tcp_info silent{};
  silent.tcpi_probes = 1;
  int first_word = 0;
  std::memcpy(&first_word, &silent, sizeof first_word);
  kernel.script_value(first_word);
  EXPECT_FALSE(keep_alive());
  EXPECT_TRUE(keep_alive());
}

TEST_F(TcpIoTest, AHostThatTheGuestHasForgottenIsNotReset) {
  Connection c = open();
  burst(fin(c));
  c.next += 1;
  kernel.calls.clear();
  auto unknown = rst(c);
  unknown.acknowledgment = {};
  burst(unknown);
  EXPECT_EQ(flow(c), nullptr);
  ASSERT_EQ(kernel.count("setsockopt"), 1U);
  EXPECT_EQ(kernel.last("setsockopt")->second, TCP_LINGER2);
  EXPECT_FALSE(kernel.closed.empty());
}

TEST_F(TcpIoTest, EventsOfAClosedFlowAreIgnored) {
  const Connection c = open();
  burst(rst(c));
  EXPECT_EQ(flow(c), nullptr);
  kernel.calls.clear();
  event(EPOLLIN | EPOLLOUT | EPOLLRDHUP);
  EXPECT_TRUE(kernel.calls.empty());
}

}  // namespace
}  // namespace sluice::driver
