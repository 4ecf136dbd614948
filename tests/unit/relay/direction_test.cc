// One direction over a scripted kernel: each call it makes, and each answer it may get.
#include "relay/direction.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>

#include <chrono>
#include <string>
#include <vector>

#include "unit/sys/fake_kernel.h"

namespace sluice::relay {
namespace {

using namespace std::chrono_literals;
using Step = Direction::Step;

constexpr int kSource = 10;
constexpr int kTarget = 11;
constexpr long kMega = 1'048'576;

class RelayDirection : public ::testing::Test {
 protected:
  explicit RelayDirection(std::size_t pipes_max = 4) : pools_(kernel_, {}, pipes_max) {}

  void start(Mode mode, Transport transport = Transport::kTcp, const Throttle& throttle = {}) {
    direction_.start(mode, transport, throttle);
  }
  Step pump(Duration since = {}) {
    return direction_.pump({kSource, kTarget}, pools_, Instant{} + 1h + since).step;
  }
  // The calls made since the last time, by name.
  std::vector<std::string> calls() {
    std::vector<std::string> names;
    for (const auto& call : kernel_.calls) names.push_back(call.name);
    kernel_.calls.clear();
    return names;
  }
  using Names = std::vector<std::string>;

  sys::FakeKernel kernel_;
  Pools pools_;
  Direction direction_;
};

TEST_F(RelayDirection, DoesNothingBeforeAnEvent) {
  start(Mode::kAuto);
  EXPECT_EQ(pump(), Step::kEmpty);
  direction_.note_source(EPOLLOUT);
  EXPECT_EQ(pump(), Step::kEmpty);
  EXPECT_EQ(calls(), Names{});
}

TEST_F(RelayDirection, AShortReadEmptiesATcpSocket) {
  start(Mode::kAuto);
  direction_.note_source(EPOLLIN);
  kernel_.script("recv", 100);
  EXPECT_EQ(pump(), Step::kEmpty);
  EXPECT_EQ(calls(), (Names{"recv", "send"}));
  EXPECT_EQ(direction_.moved(), 100u);
}

TEST_F(RelayDirection, AWholeReadDoesNot) {
  start(Mode::kCopy);
  direction_.note_source(EPOLLIN);
  kernel_.script("recv", 65'536);
  EXPECT_EQ(pump(), Step::kEmpty);
  EXPECT_EQ(calls(), (Names{"recv", "send", "recv"}));
}

TEST_F(RelayDirection, AShortReadOfAnotherTransportProvesNothing) {
  start(Mode::kCopy, Transport::kOther);
  direction_.note_source(EPOLLIN | EPOLLRDHUP);
  kernel_.script("recv", 100);
  kernel_.script("recv", 50);
  kernel_.script("recv", 0);
  EXPECT_EQ(pump(), Step::kEnded);
  EXPECT_EQ(calls(), (Names{"recv", "send", "recv", "send", "recv"}));
}

TEST_F(RelayDirection, AFinThatCameBeforeAShortReadNeedsNoRead) {
  start(Mode::kAuto);
  direction_.note_source(EPOLLIN | EPOLLRDHUP);
  kernel_.script("recv", 100);
  EXPECT_EQ(pump(), Step::kEnded);
  EXPECT_EQ(calls(), (Names{"recv", "send"}));
  EXPECT_TRUE(direction_.ended());
  // Whatever is said of the source now, it has ended.
  direction_.note_source(EPOLLIN | EPOLLRDHUP | EPOLLHUP);
  EXPECT_EQ(pump(), Step::kEnded);
  EXPECT_EQ(calls(), Names{});
}

TEST_F(RelayDirection, AnErrorThatWasToldIsReadBehindTheBytes) {
  start(Mode::kAuto);
  direction_.note_source(EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
  kernel_.script("recv", 100);
  kernel_.script("recv", -1, ECONNRESET);
  const auto result = direction_.pump({kSource, kTarget}, pools_, Instant{});
  EXPECT_EQ(result.step, Step::kSourceFailed);
  EXPECT_EQ(result.error, ECONNRESET);
  EXPECT_EQ(direction_.moved(), 100u);
  EXPECT_EQ(pools_.buffers().lent(), 0u);
}

TEST_F(RelayDirection, AFullTargetKeepsTheRestUntilItHasRoom) {
  start(Mode::kCopy);
  direction_.note_source(EPOLLIN);
  kernel_.script("recv", 1000);
  kernel_.script("send", 300);
  EXPECT_EQ(pump(), Step::kFull);
  EXPECT_EQ(calls(), (Names{"recv", "send"}));
  EXPECT_EQ(direction_.moved(), 300u);
  EXPECT_EQ(pools_.buffers().lent(), 1u);
  // More input is left where it is.
  direction_.note_source(EPOLLIN);
  EXPECT_EQ(pump(), Step::kFull);
  EXPECT_EQ(calls(), Names{});
  direction_.note_target(EPOLLOUT);
  kernel_.script("send", -1, EAGAIN);
  EXPECT_EQ(pump(), Step::kFull);
  EXPECT_EQ(calls(), Names{"send"});
  direction_.note_target(EPOLLOUT);
  kernel_.script("recv", 5);
  EXPECT_EQ(pump(), Step::kEmpty);
  EXPECT_EQ(calls(), (Names{"send", "recv", "send"}));
  EXPECT_EQ(direction_.moved(), 1005u);
  EXPECT_EQ(pools_.buffers().lent(), 0u);
}

TEST_F(RelayDirection, AnInterruptedCallIsRepeated) {
  start(Mode::kCopy);
  direction_.note_source(EPOLLIN);
  kernel_.script("recv", -1, EINTR);
  kernel_.script("recv", 100);
  kernel_.script("send", -1, EINTR);
  EXPECT_EQ(pump(), Step::kEmpty);
  EXPECT_EQ(calls(), (Names{"recv", "recv", "send", "send"}));
  EXPECT_EQ(direction_.moved(), 100u);
}

TEST_F(RelayDirection, AShareEndsTheTurnAndTheNextGoesOn) {
  start(Mode::kCopy);
  direction_.note_source(EPOLLIN);
  for (int i = 0; i < 5; ++i) kernel_.script("recv", 65'536);
  EXPECT_EQ(pump(), Step::kShare);
  EXPECT_EQ(direction_.moved(), 4u * 65'536);
  EXPECT_EQ(pump(), Step::kEmpty);
  EXPECT_EQ(direction_.moved(), 5u * 65'536);
}

TEST_F(RelayDirection, BecomesBulkWithinATurnAndSplices) {
  start(Mode::kAuto);
  direction_.note_source(EPOLLIN);
  kernel_.script("recv", 65'536);
  kernel_.script("recv", 65'536);
  kernel_.script("splice", kMega);
  kernel_.script("splice", kMega);
  EXPECT_EQ(pump(), Step::kEmpty);
  EXPECT_EQ(calls(), (Names{"recv", "send", "recv", "send", "pipe2", "fcntl", "splice", "splice",
                            "splice"}));
  EXPECT_EQ(direction_.moved(), 2u * 65'536 + kMega);
  EXPECT_EQ(pools_.buffers().lent() + pools_.pipes().lent(), 0u);
}

TEST_F(RelayDirection, ASteadyStreamThatWeKeepUpWithIsBulkToo) {
  start(Mode::kAuto);
  for (int i = 0; i < 4; ++i) {
    direction_.note_source(EPOLLIN);
    kernel_.script("recv", 40'000);
    EXPECT_EQ(pump(), Step::kEmpty);
  }
  EXPECT_EQ(kernel_.count("splice"), 0u);
  direction_.note_source(EPOLLIN);
  EXPECT_EQ(pump(), Step::kEmpty);
  EXPECT_EQ(kernel_.count("splice"), 1u);
}

TEST_F(RelayDirection, LargeTurnsWithSmallOnesBetweenAreNot) {
  start(Mode::kAuto);
  for (int i = 0; i < 20; ++i) {
    direction_.note_source(EPOLLIN);
    kernel_.script("recv", i % 4 == 3 ? 100 : 60'000);
    EXPECT_EQ(pump(), Step::kEmpty);
  }
  EXPECT_EQ(kernel_.count("splice"), 0u);
}

TEST_F(RelayDirection, CopiesAgainWhenSplicesBringLittle) {
  start(Mode::kAuto);
  direction_.note_source(EPOLLIN);
  kernel_.script("recv", 65'536);
  kernel_.script("recv", 65'536);
  EXPECT_EQ(pump(), Step::kEmpty);
  for (int i = 0; i < 4; ++i) {
    direction_.note_source(EPOLLIN);
    kernel_.script("splice", 1000);
    kernel_.script("splice", 1000);
    EXPECT_EQ(pump(), Step::kEmpty);
  }
  calls();
  direction_.note_source(EPOLLIN);
  kernel_.script("recv", 1000);
  EXPECT_EQ(pump(), Step::kEmpty);
  EXPECT_EQ(calls(), (Names{"recv", "send"}));
}

// A pipe's slots are used up by small segments: a short splice proves nothing, and EAGAIN counts
// only with an empty pipe, when it can but mean an empty socket.
TEST_F(RelayDirection, ReadsOnAfterAShortSplice) {
  start(Mode::kSplice);
  direction_.note_source(EPOLLIN);
  kernel_.script("splice", 25'600);  // 256 segments of 100 bytes
  kernel_.script("splice", 25'600);
  kernel_.script("splice", 10'000);
  kernel_.script("splice", 10'000);
  EXPECT_EQ(pump(), Step::kEmpty);
  EXPECT_EQ(direction_.moved(), 35'600u);
  EXPECT_EQ(kernel_.count("splice"), 5u);
}

TEST_F(RelayDirection, APipeThatHoldsBytesIsEmptiedBeforeMoreIsRead) {
  start(Mode::kSplice);
  direction_.note_source(EPOLLIN);
  kernel_.script("splice", kMega);
  kernel_.script("splice", 1000);
  EXPECT_EQ(pump(), Step::kFull);
  EXPECT_EQ(pools_.pipes().lent(), 1u);
  calls();
  direction_.note_source(EPOLLIN);
  EXPECT_EQ(pump(), Step::kFull);
  EXPECT_EQ(calls(), Names{});
  direction_.note_target(EPOLLOUT);
  kernel_.script("splice", -1, EAGAIN);
  EXPECT_EQ(pump(), Step::kFull);
  direction_.note_target(EPOLLOUT);
  kernel_.script("splice", kMega - 1000);
  kernel_.script("splice", -1, EAGAIN);
  EXPECT_EQ(pump(), Step::kEmpty);
  EXPECT_EQ(direction_.moved(), static_cast<std::uint64_t>(kMega));
  EXPECT_EQ(pools_.pipes().lent(), 0u);
  EXPECT_EQ(pools_.pipes().idle(), 1u);
}

TEST_F(RelayDirection, ASpliceOfNothingIsProvedByARead) {
  start(Mode::kSplice);
  direction_.note_source(EPOLLIN | EPOLLRDHUP);
  kernel_.script("splice", 0);
  kernel_.script("recv", 7);  // Bytes behind an urgent mark.
  EXPECT_EQ(pump(), Step::kEnded);
  EXPECT_EQ(direction_.moved(), 7u);
}

TEST_F(RelayDirection, CopiesWhereTheKernelCannotSplice) {
  start(Mode::kSplice);
  direction_.note_source(EPOLLIN);
  kernel_.script("splice", -1, EINVAL);
  kernel_.script("recv", 7);
  EXPECT_EQ(pump(), Step::kEmpty);
  direction_.note_source(EPOLLIN);
  kernel_.script("recv", 7);
  EXPECT_EQ(pump(), Step::kEmpty);
  EXPECT_EQ(kernel_.count("splice"), 1u);
  EXPECT_EQ(direction_.moved(), 14u);
}

TEST_F(RelayDirection, AnErrorOfTheSocketIsNotTakenForThat) {
  start(Mode::kSplice);
  direction_.note_source(EPOLLIN);
  kernel_.script("splice", -1, ECONNRESET);
  const auto result = direction_.pump({kSource, kTarget}, pools_, Instant{});
  EXPECT_EQ(result.step, Step::kSourceFailed);
  EXPECT_EQ(result.error, ECONNRESET);
}

TEST_F(RelayDirection, CopiesWhileNoPipeCanBeHad) {
  start(Mode::kSplice);
  kernel_.script("pipe2", -1, EMFILE);
  for (int i = 0; i < 3; ++i) {
    direction_.note_source(EPOLLIN);
    kernel_.script("recv", 100);
    EXPECT_EQ(pump(), Step::kEmpty);
  }
  EXPECT_EQ(kernel_.count("pipe2"), 1u);
  EXPECT_EQ(direction_.moved(), 300u);
  direction_.note_source(EPOLLIN);
  EXPECT_EQ(pump(PipePool::kPause), Step::kEmpty);
  EXPECT_EQ(kernel_.count("pipe2"), 2u);
  EXPECT_EQ(kernel_.count("splice"), 1u);
}

// An urgent mark is noted while the pipe holds bytes: these first, then copies.
TEST_F(RelayDirection, LeavesThePipeAtAnUrgentMark) {
  start(Mode::kSplice);
  direction_.note_source(EPOLLIN);
  kernel_.script("splice", 1000);
  kernel_.script("splice", 400);
  EXPECT_EQ(pump(), Step::kFull);
  direction_.note_source(EPOLLIN | EPOLLPRI);
  direction_.note_target(EPOLLOUT);
  kernel_.script("splice", 600);
  kernel_.script("recv", 7);
  EXPECT_EQ(pump(), Step::kEmpty);
  EXPECT_EQ(direction_.moved(), 1007u);
  EXPECT_EQ(pools_.pipes().lent(), 0u);
}

TEST_F(RelayDirection, AFailedTargetIsTold) {
  for (const Mode mode : {Mode::kCopy, Mode::kSplice}) {
    Direction direction;
    direction.start(mode, Transport::kTcp, {});
    direction.note_source(EPOLLIN);
    if (mode == Mode::kCopy) {
      kernel_.script("recv", 100);
      kernel_.script("send", -1, EPIPE);
    } else {
      kernel_.script("splice", 100);
      kernel_.script("splice", -1, EPIPE);
    }
    const auto result = direction.pump({kSource, kTarget}, pools_, Instant{});
    EXPECT_EQ(result.step, Step::kTargetFailed);
    EXPECT_EQ(result.error, EPIPE);
    direction.release(pools_);
    EXPECT_EQ(pools_.buffers().lent() + pools_.pipes().lent(), 0u);
    EXPECT_EQ(pools_.pipes().idle(), 0u);  // What was in the pipe must reach nobody.
  }
}

TEST_F(RelayDirection, ADryBucketWaitsForAUsefulAmount) {
  policy::TokenBucket rule(1'000'000);  // A burst of 50,000 bytes.
  policy::TokenBucket client(100'000'000);
  start(Mode::kCopy, Transport::kTcp, {.rule = &rule, .client = &client});
  direction_.note_source(EPOLLIN);
  kernel_.script("recv", 50'000);
  EXPECT_EQ(pump(), Step::kLater);
  EXPECT_EQ(kernel_.last("recv")->first, 50'000);
  const Duration wait = direction_.resume_at() - (Instant{} + 1h);
  EXPECT_NEAR(static_cast<double>(wait.count()), 12.5e6, 1e5);
  calls();
  // Events before that move nothing, and nothing is held.
  direction_.note_source(EPOLLIN);
  EXPECT_EQ(pump(5ms), Step::kLater);
  EXPECT_EQ(calls(), Names{});
  EXPECT_EQ(pools_.buffers().lent(), 0u);
  kernel_.script("recv", 12'000);
  EXPECT_EQ(pump(13ms), Step::kEmpty);
  EXPECT_EQ(direction_.moved(), 62'000u);
}

class RelayDirectionWithoutPipes : public RelayDirection {
 protected:
  RelayDirectionWithoutPipes() : RelayDirection(0) {}
};

TEST_F(RelayDirectionWithoutPipes, EverythingIsCopied) {
  start(Mode::kSplice);
  direction_.note_source(EPOLLIN);
  kernel_.script("recv", 100);
  EXPECT_EQ(pump(), Step::kEmpty);
  EXPECT_EQ(calls(), (Names{"recv", "send"}));
}

}  // namespace
}  // namespace sluice::relay
