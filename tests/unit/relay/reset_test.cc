// A RST and other errors: what came before arrives, then the other side is reset too.
#include <gtest/gtest.h>

#include "relay/pair.h"
#include "unit/relay/rig.h"
#include "unit/sys/fake_kernel.h"

namespace sluice::relay {
namespace {

class RelayReset : public ::testing::TestWithParam<Mode> {
 protected:
  [[nodiscard]] static Options options() { return {.mode = GetParam()}; }
};

TEST_P(RelayReset, OfTheClientComesAfterItsBytes) {
  Rig rig(sys::real_kernel(), options());
  const std::string text = pattern(40'000);  // Less than the window: our kernel has it all.
  ASSERT_TRUE(send_all(rig.client.get(), text));
  reset_connection(rig.client);
  Received received;
  ASSERT_TRUE(rig.turn_until([&] {
    received.read_from(rig.target.get());
    return received.end.has_value();
  }));
  EXPECT_TRUE(received.bytes == text);
  EXPECT_EQ(received.end, ECONNRESET);
  ASSERT_TRUE(rig.ended());
  EXPECT_EQ(rig.pair.end(), PairEnd::kClientReset);
  EXPECT_EQ(rig.pair.error(), ECONNRESET);
  EXPECT_TRUE(rig.nothing_held());
}

TEST_P(RelayReset, OfTheTargetComesAfterItsBytes) {
  Rig rig(sys::real_kernel(), options());
  const std::string text = pattern(40'000);  // Less than the window: our kernel has it all.
  ASSERT_TRUE(send_all(rig.target.get(), text));
  reset_connection(rig.target);
  Received received;
  ASSERT_TRUE(rig.turn_until([&] {
    received.read_from(rig.client.get());
    return received.end.has_value();
  }));
  EXPECT_TRUE(received.bytes == text);
  EXPECT_EQ(received.end, ECONNRESET);
  ASSERT_TRUE(rig.ended());
  EXPECT_EQ(rig.pair.end(), PairEnd::kTargetReset);
  EXPECT_EQ(rig.pair.error(), ECONNRESET);
}

// A write to a client that is gone tells of it before any event of the client's does.
TEST_P(RelayReset, MetByAWriteComesAfterTheBytesBeforeIt) {
  Rig rig(sys::real_kernel(), options());
  rig.settle();
  ASSERT_TRUE(send_all(rig.client.get(), "answer"));
  reset_connection(rig.client);
  for (int i = 0; i < 3 && rig.status != PairStatus::kEnded; ++i) {
    ASSERT_TRUE(send_all(rig.target.get(), "more"));
    rig.pair.note(Side::kTarget, EPOLLIN);
    rig.status = rig.pair.pump(rig.pools, clock_now());
  }
  Received received;
  ASSERT_TRUE(rig.turn_until([&] {
    received.read_from(rig.target.get());
    return received.end.has_value();
  }));
  EXPECT_EQ(received.bytes, "answer");
  EXPECT_EQ(received.end, ECONNRESET);
}

TEST_P(RelayReset, OfAnIdlePair) {
  Rig rig(sys::real_kernel(), options());
  rig.settle();
  reset_connection(rig.target);
  ASSERT_TRUE(rig.ended());
  EXPECT_EQ(rig.pair.end(), PairEnd::kTargetReset);
  Received received;
  received.read_from(rig.client.get());
  EXPECT_EQ(received.end, ECONNRESET);
}

TEST_P(RelayReset, OfAHalfClosedClient) {
  Rig rig(sys::real_kernel(), options());
  ::shutdown(rig.client.get(), SHUT_WR);
  rig.settle();
  ASSERT_TRUE(rig.pair.half_closed());
  reset_connection(rig.client);
  ASSERT_TRUE(rig.ended());
  EXPECT_EQ(rig.pair.end(), PairEnd::kClientReset);
  EXPECT_NE(rig.pair.error(), 0);
  Received received;
  ASSERT_TRUE(rig.turn_until([&] {
    received.read_from(rig.target.get());
    return received.end.has_value();
  }));
  // The FIN was passed on before the RST.
  EXPECT_EQ(received.end, 0);
}

// A server that has said all, and closed, resets whoever still speaks, or speaks too late for a
// kernel that has forgotten the connection. Its client has the whole answer, and an end behind it.
TEST_P(RelayReset, BehindAnEndLeavesTheStreamWhole) {
  for (const Side side : {Side::kClient, Side::kTarget}) {
    Rig rig(sys::real_kernel(), options());
    rig.settle();
    UniqueFd& failing = side == Side::kClient ? rig.client : rig.target;
    UniqueFd& reader = side == Side::kClient ? rig.target : rig.client;
    const std::string text = pattern(40'000);
    ASSERT_TRUE(send_all(failing.get(), text));
    ::shutdown(failing.get(), SHUT_WR);
    reset_connection(failing);
    Received received;
    ASSERT_TRUE(rig.turn_until([&] {
      received.read_from(reader.get());
      return received.end.has_value();
    }));
    EXPECT_TRUE(received.bytes == text);
    EXPECT_EQ(received.end, 0);
    ASSERT_TRUE(rig.ended());
    EXPECT_EQ(rig.pair.end(),
              side == Side::kClient ? PairEnd::kClientReset : PairEnd::kTargetReset);
    EXPECT_EQ(rig.pair.error(), EPIPE);
    EXPECT_LT(::send(reader.get(), "x", 1, MSG_NOSIGNAL), 0) << "nobody takes it any more";
  }
}

// The same where a write meets the reset first.
TEST_P(RelayReset, BehindAnEndThatAWriteMeetsLeavesTheStreamWhole) {
  Rig rig(sys::real_kernel(), options());
  rig.settle();
  ASSERT_TRUE(send_all(rig.target.get(), "answer"));
  ::shutdown(rig.target.get(), SHUT_WR);
  reset_connection(rig.target);
  ASSERT_TRUE(send_all(rig.client.get(), "more"));
  rig.pair.note(Side::kClient, EPOLLIN);
  rig.status = rig.pair.pump(rig.pools, clock_now());
  Received received;
  ASSERT_TRUE(rig.turn_until([&] {
    received.read_from(rig.client.get());
    return received.end.has_value();
  }));
  EXPECT_EQ(received.bytes, "answer");
  EXPECT_EQ(received.end, 0);
}

// As where the connection was somebody else's before, who has asked for its error.
TEST_P(RelayReset, ThatWasAskedForAlreadyIsTheSame) {
  for (const bool ended : {true, false}) {
    Rig rig(sys::real_kernel(), options());
    rig.settle();
    ASSERT_TRUE(send_all(rig.target.get(), "answer"));
    if (ended) ::shutdown(rig.target.get(), SHUT_WR);
    reset_connection(rig.target);
    const auto error = rig.pair.socket(Side::kTarget).connect_result();
    ASSERT_FALSE(error.has_value());
    rig.pair.note_failure(Side::kTarget, error.error().error);
    rig.status = rig.pair.pump(rig.pools, clock_now());
    Received received;
    ASSERT_TRUE(rig.turn_until([&] {
      received.read_from(rig.client.get());
      return received.end.has_value();
    }));
    EXPECT_EQ(received.bytes, "answer");
    EXPECT_EQ(received.end, ended ? 0 : ECONNRESET);
    EXPECT_EQ(rig.pair.error(), ended ? EPIPE : ECONNRESET);
  }
}

// The target takes nothing when the client resets: it gets what it has time for. It begins to read
// after a while and so gets everything.
TEST_P(RelayReset, WhileTheOtherSideIsBlockedWaitsForIt) {
  Rig rig(sys::real_kernel(), options(), {}, {.near_send = 32 * 1024, .far_receive = 32 * 1024});
  const std::string text = pattern(8 * 1024 * 1024);
  std::size_t sent = 0;
  for (int i = 0; i < 50; ++i) {
    const ssize_t more =
        ::send(rig.client.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (more > 0) sent += static_cast<std::size_t>(more);
    rig.turn(1ms);
  }
  reset_connection(rig.client);
  const Instant begin = clock_now();
  while (clock_now() < begin + 200ms) rig.turn(10ms);
  ASSERT_NE(rig.status, PairStatus::kEnded);
  const std::uint64_t queued = rig.pair.bytes_to_target();
  Received received;
  ASSERT_TRUE(rig.turn_until([&] {
    received.read_from(rig.target.get(), 100'000);
    return received.end.has_value();
  }));
  EXPECT_EQ(received.end, ECONNRESET);
  // What the client's kernel had not yet delivered died with it; what reached ours did not.
  EXPECT_GE(received.bytes.size(), queued);
  EXPECT_EQ(received.bytes.size(), rig.pair.bytes_to_target());
  EXPECT_TRUE(received.bytes == text.substr(0, received.bytes.size()));
  ASSERT_TRUE(rig.ended());
  EXPECT_TRUE(rig.nothing_held());
}

TEST_P(RelayReset, WhileTheOtherSideStaysBlockedEndsInTime) {
  Rig rig(sys::real_kernel(), options(), {}, {.near_send = 32 * 1024, .far_receive = 32 * 1024});
  const std::string text = pattern(8 * 1024 * 1024);
  for (int i = 0; i < 50; ++i) {
    (void)::send(rig.client.get(), text.data(), text.size(), MSG_NOSIGNAL);
    rig.turn(1ms);
  }
  const Instant begin = clock_now();
  const int before = rig.pumps;
  reset_connection(rig.client);
  ASSERT_TRUE(rig.ended(5s));
  EXPECT_GT(clock_now() - begin, 900ms);
  EXPECT_LT(clock_now() - begin, 3s);
  EXPECT_LT(rig.pumps - before, 20);  // No spin while it waits.
  EXPECT_EQ(rig.pair.end(), PairEnd::kClientReset);
  EXPECT_TRUE(rig.nothing_held());
}

// The client writes to a target that is gone: what the target had said still arrives.
TEST_P(RelayReset, FoundByASendDeliversWhatTheTargetHadSaid) {
  Rig rig(sys::real_kernel(), options());
  rig.settle();
  ASSERT_TRUE(send_all(rig.target.get(), "last words"));
  reset_connection(rig.target);
  ASSERT_TRUE(send_all(rig.client.get(), "too late"));
  Received received;
  ASSERT_TRUE(rig.turn_until([&] {
    received.read_from(rig.client.get());
    return received.end.has_value();
  }));
  EXPECT_EQ(received.bytes, "last words");
  EXPECT_EQ(received.end, ECONNRESET);
  ASSERT_TRUE(rig.ended());
  EXPECT_EQ(rig.pair.end(), PairEnd::kTargetReset);
}

// A target that closes with unread bytes resets; one that closes a UNIX socket just closes.
TEST_P(RelayReset, OfAUnixTargetClosesTheClient) {
  PairOptions pair_options;
  pair_options.target = Transport::kOther;
  Rig rig(sys::real_kernel(), options(), pair_options);
  ASSERT_TRUE(send_all(rig.client.get(), "question"));
  rig.settle();
  ASSERT_TRUE(send_all(rig.target.get(), "answer"));
  rig.target.reset();  // The question was never read.
  Received received;
  ASSERT_TRUE(rig.turn_until([&] {
    received.read_from(rig.client.get());
    return received.end.has_value();
  }));
  EXPECT_EQ(received.bytes, "answer");
  EXPECT_EQ(received.end, ECONNRESET);
  ASSERT_TRUE(rig.ended());
  EXPECT_EQ(rig.pair.end(), PairEnd::kTargetReset);
}

TEST_P(RelayReset, TowardsAUnixClientIsAClose) {
  PairOptions pair_options;
  pair_options.client = Transport::kOther;
  Rig rig(sys::real_kernel(), options(), pair_options);
  rig.settle();
  ASSERT_TRUE(send_all(rig.target.get(), "last words"));
  reset_connection(rig.target);
  Received received;
  ASSERT_TRUE(rig.turn_until([&] {
    received.read_from(rig.client.get());
    return received.end.has_value();
  }));
  EXPECT_EQ(received.bytes, "last words");
  ASSERT_TRUE(rig.ended());
}

INSTANTIATE_TEST_SUITE_P(Modes, RelayReset,
                         ::testing::Values(Mode::kAuto, Mode::kCopy, Mode::kSplice));

// --- With a scripted kernel, where each step can be seen. ---

class RelayResetScripted : public ::testing::Test {
 protected:
  static constexpr int kClientFd = 10;
  static constexpr int kTargetFd = 11;

  void start() {
    const host::TcpOptions plain{.nodelay = false, .keepalive = false};
    pair_.start(host::TcpSocket::adopt(sys::KernelFd(kernel_, kClientFd), plain),
                host::TcpSocket::adopt(sys::KernelFd(kernel_, kTargetFd), plain), {}, pools_);
  }
  [[nodiscard]] static Instant at(Duration since) { return Instant{} + 1h + since; }
  [[nodiscard]] bool was_reset(int fd) const {
    for (std::size_t i = 0; i < kernel_.calls.size(); ++i) {
      if (kernel_.calls[i].name == "setsockopt" && kernel_.calls[i].fd == fd &&
          kernel_.calls[i].second == SO_LINGER) {
        return true;
      }
    }
    return false;
  }

  sys::FakeKernel kernel_;
  Pools pools_{kernel_, {}};
  Pair pair_;
};

TEST_F(RelayResetScripted, WaitsLongerAndLongerForAcknowledgements) {
  start();
  kernel_.script("recv", 100);
  EXPECT_EQ(pair_.pump(pools_, at(0ms)), PairStatus::kWaiting);
  pair_.note(Side::kClient, EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
  kernel_.script("recv", -1, ECONNRESET);
  for (int i = 0; i < 20; ++i) kernel_.script_value(100);
  Duration waited{};
  Instant now = at(0ms);
  int polls = 0;
  while (pair_.pump(pools_, now) == PairStatus::kLater) {
    ASSERT_GT(pair_.resume_at(), now);
    // An event in between asks nothing.
    const std::size_t asked = kernel_.count("ioctl");
    pair_.note(Side::kTarget, EPOLLOUT);
    EXPECT_EQ(pair_.pump(pools_, now), PairStatus::kLater);
    EXPECT_EQ(kernel_.count("ioctl"), asked);
    waited += pair_.resume_at() - now;
    now = pair_.resume_at();
    ASSERT_LT(++polls, 20);
  }
  EXPECT_EQ(polls, 10);
  EXPECT_EQ(waited, 1023ms);
  EXPECT_EQ(pair_.end(), PairEnd::kClientReset);
  EXPECT_EQ(pair_.error(), ECONNRESET);
  EXPECT_TRUE(was_reset(kTargetFd));
  EXPECT_FALSE(was_reset(kClientFd));
  EXPECT_EQ(kernel_.closed.size(), 2u);
}

TEST_F(RelayResetScripted, IsPassedOnAtOnceWhenAllIsAcknowledged) {
  start();
  kernel_.script("recv", -1, ECONNRESET);
  EXPECT_EQ(pair_.pump(pools_, at(0ms)), PairStatus::kEnded);
  EXPECT_EQ(kernel_.count("ioctl"), 1u);
  EXPECT_TRUE(was_reset(kTargetFd));
  EXPECT_EQ(pair_.end(), PairEnd::kClientReset);
}

TEST_F(RelayResetScripted, OfBothSidesEndsAtOnce) {
  start();
  pair_.note(Side::kClient, EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
  pair_.note(Side::kTarget, EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
  kernel_.script_value(ECONNRESET);  // SO_ERROR
  EXPECT_EQ(pair_.pump(pools_, at(0ms)), PairStatus::kEnded);
  EXPECT_EQ(pair_.error(), ECONNRESET);
}

TEST_F(RelayResetScripted, ATimeoutIsToldByItsNumber) {
  start();
  kernel_.script("recv", -1, EAGAIN);
  EXPECT_EQ(pair_.pump(pools_, at(0ms)), PairStatus::kWaiting);
  pair_.note(Side::kTarget, EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
  kernel_.script("recv", -1, ETIMEDOUT);
  EXPECT_EQ(pair_.pump(pools_, at(0ms)), PairStatus::kEnded);
  EXPECT_EQ(pair_.end(), PairEnd::kTargetReset);
  EXPECT_EQ(pair_.error(), ETIMEDOUT);
}

// A kernel that says "error" for ever must not hold us for ever.
TEST_F(RelayResetScripted, EndlessErrorsEnd) {
  start();
  for (int i = 0; i < 100; ++i) kernel_.script("recv", -1, EIO);
  EXPECT_EQ(pair_.pump(pools_, at(0ms)), PairStatus::kEnded);
  EXPECT_LT(kernel_.count("recv"), 4u);
}

}  // namespace
}  // namespace sluice::relay
