// Pairs between real sockets: every byte, each FIN, and nothing held or done when nothing happens.
#include "relay/pair.h"

#include <gtest/gtest.h>

#include "unit/relay/pass_kernel.h"
#include "unit/relay/rig.h"
#include "unit/relay/sender.h"

namespace sluice::relay {
namespace {

struct Way {
  Mode mode = Mode::kAuto;
  Transport client = Transport::kTcp;
  Transport target = Transport::kTcp;
  std::size_t buffer_size = 65'536;
};

class RelayWay : public ::testing::TestWithParam<Way> {
 protected:
  [[nodiscard]] static Options options() {
    return {.mode = GetParam().mode, .buffer_size = GetParam().buffer_size};
  }
  [[nodiscard]] static PairOptions pair_options() {
    PairOptions options;
    options.client = GetParam().client;
    options.target = GetParam().target;
    return options;
  }
};

TEST_P(RelayWay, CarriesBothWaysAtOnceByteForByte) {
  Rig rig(sys::real_kernel(), options(), pair_options());
  const std::string forth = pattern(64 * 1024 * 1024, 1);
  const std::string back = pattern(16 * 1024 * 1024, 2);
  Sender request(rig.client.get(), forth);
  Sender answer(rig.target.get(), back);
  Received at_target;
  Received at_client;
  ASSERT_TRUE(rig.turn_until(
      [&] {
        request.push();
        answer.push();
        at_target.read_from(rig.target.get());
        at_client.read_from(rig.client.get());
        return at_target.end && at_client.end;
      },
      60s));
  EXPECT_TRUE(at_target.bytes == forth);
  EXPECT_TRUE(at_client.bytes == back);
  EXPECT_EQ(at_target.end, 0);
  EXPECT_EQ(at_client.end, 0);
  EXPECT_TRUE(rig.ended());
  EXPECT_EQ(rig.pair.bytes_to_target(), forth.size());
  EXPECT_EQ(rig.pair.bytes_to_client(), back.size());
  EXPECT_TRUE(rig.nothing_held());
}

TEST_P(RelayWay, HalfCloseOfTheClientLeavesTheWayBackOpen) {
  Rig rig(sys::real_kernel(), options(), pair_options());
  ASSERT_TRUE(send_all(rig.client.get(), "all I have"));
  ::shutdown(rig.client.get(), SHUT_WR);
  Received request;
  ASSERT_TRUE(rig.turn_until([&] {
    request.read_from(rig.target.get());
    return request.end.has_value();
  }));
  EXPECT_EQ(request.bytes, "all I have");
  EXPECT_TRUE(rig.pair.half_closed());
  rig.settle();

  const std::string text = pattern(300'000);
  Sender answer(rig.target.get(), text);
  Received at_client;
  ASSERT_TRUE(rig.turn_until([&] {
    answer.push();
    at_client.read_from(rig.client.get());
    return at_client.end.has_value();
  }));
  EXPECT_TRUE(at_client.bytes == text);
  ASSERT_TRUE(rig.ended());
  EXPECT_EQ(rig.pair.end(), PairEnd::kClientClosed);
  EXPECT_FALSE(rig.pair.half_closed());
}

TEST_P(RelayWay, HalfCloseOfTheTargetLeavesTheWayForthOpen) {
  Rig rig(sys::real_kernel(), options(), pair_options());
  ASSERT_TRUE(send_all(rig.target.get(), "banner"));
  ::shutdown(rig.target.get(), SHUT_WR);
  Received banner;
  ASSERT_TRUE(rig.turn_until([&] {
    banner.read_from(rig.client.get());
    return banner.end.has_value();
  }));
  EXPECT_EQ(banner.bytes, "banner");
  EXPECT_TRUE(rig.pair.half_closed());

  const std::string text = pattern(300'000);
  Sender request(rig.client.get(), text);
  Received at_target;
  ASSERT_TRUE(rig.turn_until([&] {
    request.push();
    at_target.read_from(rig.target.get());
    return at_target.end.has_value();
  }));
  EXPECT_TRUE(at_target.bytes == text);
  ASSERT_TRUE(rig.ended());
  EXPECT_EQ(rig.pair.end(), PairEnd::kTargetClosed);
}

// The far end takes nothing for a while: the sender is held back, nothing is lost, nothing spins.
TEST_P(RelayWay, ASlowReceiverHoldsTheSenderBack) {
  Rig rig(sys::real_kernel(), options(), pair_options(),
          {.near_send = 32 * 1024, .far_receive = 32 * 1024});
  const std::string text = pattern(4 * 1024 * 1024);
  Sender sender(rig.client.get(), text);
  for (int i = 0; i < 20; ++i) {
    sender.push();
    rig.turn(1ms);
  }
  rig.settle();
  EXPECT_EQ(rig.pools.buffers().lent() + rig.pools.pipes().lent(), 1u);
  // Window probes of the sender wake us, and on a busy machine what is still on its way.
  const auto pumps_of_a_while = [&] {
    const int before = rig.pumps;
    const Instant end = clock_now() + 300ms;
    while (clock_now() < end) rig.turn(50ms);
    return rig.pumps - before;
  };
  int pumps = pumps_of_a_while();
  for (int tries = 0; pumps > 5 && tries < 10; ++tries) pumps = pumps_of_a_while();
  EXPECT_LE(pumps, 5);

  Received received;
  ASSERT_TRUE(rig.turn_until(
      [&] {
        sender.push();
        received.read_from(rig.target.get(), 200'000);
        return received.end.has_value();
      },
      60s));
  EXPECT_TRUE(received.bytes == text);
  rig.settle();
  EXPECT_TRUE(rig.nothing_held());
}

// Segments of a few bytes each use up a pipe's slots long before its bytes.
TEST_P(RelayWay, ManySmallSegmentsAllArrive) {
  Rig rig(sys::real_kernel(), options(), pair_options());
  const std::string text = pattern(700'000);
  Sender sender(rig.client.get(), text, 100);
  Received received;
  int rounds = 0;
  ASSERT_TRUE(rig.turn_until(
      [&] {
        sender.push();
        // Some pile up in the receive queue first.
        if (++rounds > 1) received.read_from(rig.target.get());
        return received.end.has_value();
      },
      30s));
  EXPECT_TRUE(received.bytes == text);
}

TEST_P(RelayWay, AnIdlePairHoldsNothingAndDoesNothing) {
  Rig rig(sys::real_kernel(), options(), pair_options());
  const std::string text = pattern(5'000'000);
  Received received;
  std::size_t sent = 0;
  ASSERT_TRUE(rig.turn_until([&] {
    const ssize_t more =
        ::send(rig.target.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (more > 0) sent += static_cast<std::size_t>(more);
    received.read_from(rig.client.get());
    return received.bytes.size() == text.size();
  }));
  EXPECT_TRUE(received.bytes == text);
  rig.settle();
  EXPECT_TRUE(rig.nothing_held());
  const int before = rig.pumps;
  const Instant end = clock_now() + 300ms;
  while (clock_now() < end) rig.turn(100ms);
  EXPECT_EQ(rig.pumps, before);
}

TEST_P(RelayWay, AHalfClosedPairDoesNotSpin) {
  Rig rig(sys::real_kernel(), options(), pair_options());
  ::shutdown(rig.client.get(), SHUT_WR);
  rig.settle();
  EXPECT_TRUE(rig.pair.half_closed());
  const int before = rig.pumps;
  const Instant end = clock_now() + 300ms;
  while (clock_now() < end) rig.turn(100ms);
  EXPECT_EQ(rig.pumps, before);
  EXPECT_TRUE(rig.nothing_held());
}

INSTANTIATE_TEST_SUITE_P(
    Ways, RelayWay,
    ::testing::Values(Way{.mode = Mode::kAuto}, Way{.mode = Mode::kCopy},
                      Way{.mode = Mode::kSplice}, Way{.mode = Mode::kCopy, .buffer_size = 1024},
                      Way{.mode = Mode::kAuto, .target = Transport::kOther},
                      Way{.mode = Mode::kSplice, .client = Transport::kOther},
                      Way{.client = Transport::kOther, .target = Transport::kOther}));

TEST(RelayPair, TheTargetMaySpeakFirst) {
  Rig rig(sys::real_kernel());
  ASSERT_TRUE(send_all(rig.target.get(), "220 ready"));
  Received banner;
  EXPECT_TRUE(rig.turn_until([&] {
    banner.read_from(rig.client.get());
    return banner.bytes == "220 ready";
  }));
}

TEST(RelayPair, AHeadGoesFirstEvenIfTheClientSaysNothing) {
  const std::string head = pattern(100'000);  // More than a buffer.
  PairOptions options;
  options.head_to_target = {reinterpret_cast<const std::uint8_t*>(head.data()), head.size()};
  Rig rig(sys::real_kernel(), {}, options);
  Received received;
  ASSERT_TRUE(rig.turn_until([&] {
    received.read_from(rig.target.get());
    return received.bytes.size() == head.size();
  }));
  EXPECT_TRUE(received.bytes == head);
  ASSERT_TRUE(send_all(rig.client.get(), "and more"));
  ASSERT_TRUE(rig.turn_until([&] {
    received.read_from(rig.target.get());
    return received.bytes == head + "and more";
  }));
  rig.settle();
  EXPECT_TRUE(rig.nothing_held());
}

// Urgent data stops a read at its mark: what is behind it must still come.
TEST(RelayPair, BytesBehindAnUrgentMarkArrive) {
  for (const Mode mode : {Mode::kCopy, Mode::kSplice, Mode::kAuto}) {
    Rig rig(sys::real_kernel(), {.mode = mode});
    rig.settle();
    ASSERT_TRUE(send_all(rig.client.get(), "before"));
    ASSERT_EQ(::send(rig.client.get(), "!", 1, MSG_OOB), 1);
    ASSERT_TRUE(send_all(rig.client.get(), "behind"));
    ::shutdown(rig.client.get(), SHUT_WR);
    Received received;
    ASSERT_TRUE(rig.turn_until([&] {
      received.read_from(rig.target.get());
      return received.end.has_value();
    }));
    EXPECT_EQ(received.bytes, "beforebehind");
  }
}

// A read of AF_UNIX stops behind a descriptor that was passed along.
TEST(RelayPair, BytesBehindAPassedDescriptorArrive) {
  PairOptions options;
  options.client = Transport::kOther;
  Rig rig(sys::real_kernel(), {}, options);
  rig.settle();
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  char text[] = "with";
  iovec part{.iov_base = text, .iov_len = 4};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int passed = rig.target.get();
  std::copy_n(reinterpret_cast<const char*>(&passed), sizeof passed,
              reinterpret_cast<char*>(CMSG_DATA(header)));
  ASSERT_EQ(::sendmsg(rig.client.get(), &message, 0), 4);
  ASSERT_TRUE(send_all(rig.client.get(), "and without"));
  Received received;
  EXPECT_TRUE(rig.turn_until([&] {
    received.read_from(rig.target.get());
    return received.bytes == "withand without";
  }));
}

TEST(RelayPair, SplicesWhatIsBulkAndCopiesWhatIsNot) {
  CountingKernel kernel;
  Rig rig(kernel);
  Received received;
  const auto carry = [&](std::size_t size) {
    const std::string text = pattern(size);
    const std::size_t wanted = received.bytes.size() + size;
    std::size_t sent = 0;
    ASSERT_TRUE(rig.turn_until([&] {
      const ssize_t more =
          ::send(rig.client.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (more > 0) sent += static_cast<std::size_t>(more);
      received.read_from(rig.target.get());
      return received.bytes.size() == wanted;
    }));
    rig.settle();
  };
  carry(100);
  EXPECT_EQ(kernel.calls["splice"], 0);
  carry(8 * 1024 * 1024);
  EXPECT_GT(kernel.calls["splice"], 0);
  // Small messages: after some of them a copy again.
  for (int i = 0; i < 10; ++i) carry(100);
  kernel.calls.clear();
  for (int i = 0; i < 10; ++i) carry(100);
  EXPECT_EQ(kernel.calls, (std::map<std::string, int>{{"recv", 10}, {"send", 10}}));
  EXPECT_TRUE(rig.nothing_held());
}

TEST(RelayPair, StopTellsNobodyThatAHalfToldStreamHasEnded) {
  for (const bool ended : {false, true}) {
    Rig rig(sys::real_kernel(), {}, {}, {});
    ASSERT_TRUE(send_all(rig.client.get(), "words"));
    if (ended) {
      ASSERT_EQ(::shutdown(rig.client.get(), SHUT_WR), 0);
    }
    Received at_target;
    EXPECT_TRUE(rig.turn_until([&] {
      at_target.read_from(rig.target.get());
      return at_target.bytes.size() == 5 && at_target.end.has_value() == ended;
    }));
    rig.pair.stop(rig.pools, StopHow::kClose);
    at_target.read_from(rig.target.get());
    EXPECT_EQ(at_target.bytes, "words");
    EXPECT_EQ(at_target.end, ended ? 0 : ECONNRESET);
    Received at_client;
    at_client.read_from(rig.client.get());
    EXPECT_EQ(at_client.end, ECONNRESET);
  }
}

TEST(RelayPair, StopGivesEverythingBack) {
  for (const Mode mode : {Mode::kCopy, Mode::kSplice}) {
    Rig rig(sys::real_kernel(), {.mode = mode}, {},
            {.near_send = 32 * 1024, .far_receive = 32 * 1024});
    const std::string text = pattern(8 * 1024 * 1024);
    for (int i = 0; i < 20; ++i) {
      (void)::send(rig.client.get(), text.data(), text.size(), MSG_NOSIGNAL);
      rig.turn(1ms);
    }
    ASSERT_FALSE(rig.nothing_held());
    rig.pair.stop(rig.pools, StopHow::kReset);
    EXPECT_TRUE(rig.nothing_held());
    EXPECT_EQ(rig.pair.end(), PairEnd::kStopped);
    EXPECT_EQ(rig.pair.pump(rig.pools, clock_now()), PairStatus::kEnded);
    Received received;
    received.read_from(rig.target.get());
    EXPECT_EQ(received.end, ECONNRESET);
  }
}

TEST(RelayPair, AThrottleLimitsEachDirectionByItself) {
  for (const Mode mode : {Mode::kCopy, Mode::kSplice, Mode::kAuto}) {
    policy::TokenBucket rule(2'000'000);
    PairOptions options;
    options.to_target.rule = &rule;
    Rig rig(sys::real_kernel(), {.mode = mode}, options);
    const std::string text = pattern(1'000'000);
    Sender forth(rig.client.get(), text);
    Sender back(rig.target.get(), text);
    Received at_target;
    Received at_client;
    const Instant begin = clock_now();
    Instant back_done = kNever;
    ASSERT_TRUE(rig.turn_until([&] {
      forth.push();
      back.push();
      at_target.read_from(rig.target.get());
      at_client.read_from(rig.client.get());
      EXPECT_TRUE(rig.status != PairStatus::kLater || rig.nothing_held());
      if (at_client.end && back_done == kNever) back_done = clock_now();
      return at_target.end && at_client.end;
    }));
    const Duration took = clock_now() - begin;
    EXPECT_TRUE(at_target.bytes == text);
    EXPECT_TRUE(at_client.bytes == text);
    // A second's worth of 2 MB/s is half a second for 1 MB, less a burst of 50 ms.
    EXPECT_GT(took, 400ms);
    EXPECT_LT(took, 2s);
    EXPECT_LT(back_done - begin, 350ms);
    // Each wake moves a quarter of the burst at least: 25 kB.
    EXPECT_LT(rig.pumps, 300);
  }
}

}  // namespace
}  // namespace sluice::relay
