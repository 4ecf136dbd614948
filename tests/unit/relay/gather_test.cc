// Gathering: a fast stream that nobody answers is looked at less often, and nothing of it stays
// behind.
#include <gtest/gtest.h>

#include "unit/relay/pass_kernel.h"
#include "unit/relay/rig.h"

namespace sluice::relay {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;

int low_water_calls(CountingKernel& kernel) { return kernel.calls["setsockopt"]; }

class Gathering : public ::testing::Test {
 protected:
  // Sends so many bytes from the client and reads them at the target.
  void stream(std::size_t size) {
    const std::string chunk = pattern(kMiB);
    std::size_t sent = 0;
    const std::size_t wanted = arrived.bytes.size() + size;
    ASSERT_TRUE(rig.turn_until(
        [&] {
          while (sent < size) {
            const std::size_t at = sent % kMiB;
            const ssize_t n = ::send(rig.client.get(), chunk.data() + at,
                                     std::min(kMiB - at, size - sent), MSG_NOSIGNAL);
            if (n <= 0) break;
            sent += static_cast<std::size_t>(n);
          }
          arrived.read_from(rig.target.get());
          return arrived.bytes.size() == wanted;
        },
        30s));
  }

  CountingKernel kernel;
  Rig rig{kernel};
  Received arrived;
};

TEST_F(Gathering, BeginsWithAStreamOnlyAndEndsWithIt) {
  stream(4 * kMiB);
  EXPECT_EQ(low_water_calls(kernel), 0);
  stream(28 * kMiB);
  EXPECT_GE(low_water_calls(kernel), 1);
  rig.settle();
  // The mark is at one byte again: an even number of calls.
  EXPECT_EQ(low_water_calls(kernel) % 2, 0);
  EXPECT_EQ(rig.status, PairStatus::kWaiting);
  EXPECT_TRUE(rig.nothing_held());
}

TEST_F(Gathering, TheTailOfABurstComesInTime) {
  stream(24 * kMiB);
  for (int i = 0; i < 20; ++i) {
    const Instant begin = clock_now();
    ASSERT_TRUE(send_all(rig.client.get(), "tail"));
    const std::size_t wanted = arrived.bytes.size() + 4;
    ASSERT_TRUE(rig.turn_until([&] {
      arrived.read_from(rig.target.get());
      return arrived.bytes.size() == wanted;
    }));
    EXPECT_LT(clock_now() - begin, 500ms);
  }
}

TEST_F(Gathering, AFinDoesNotWait) {
  stream(24 * kMiB);
  ASSERT_TRUE(send_all(rig.client.get(), "last"));
  ::shutdown(rig.client.get(), SHUT_WR);
  ASSERT_TRUE(rig.turn_until([&] {
    arrived.read_from(rig.target.get());
    return arrived.end.has_value();
  }));
  EXPECT_EQ(arrived.end, 0);
  EXPECT_TRUE(arrived.bytes.ends_with("last"));
}

TEST_F(Gathering, WhoeverAnswersDoesNotWait) {
  for (int i = 0; i < 40; ++i) {
    stream(kMiB);
    ASSERT_TRUE(send_all(rig.target.get(), "answer"));
    Received answer;
    ASSERT_TRUE(rig.turn_until([&] {
      answer.read_from(rig.client.get());
      return answer.bytes.size() == 6;
    }));
  }
  EXPECT_EQ(low_water_calls(kernel), 0);
}

TEST_F(Gathering, AnAnswerEndsIt) {
  stream(24 * kMiB);
  ASSERT_TRUE(send_all(rig.target.get(), "answer"));
  Received answer;
  ASSERT_TRUE(rig.turn_until([&] {
    answer.read_from(rig.client.get());
    return answer.bytes.size() == 6;
  }));
  EXPECT_EQ(low_water_calls(kernel) % 2, 0);
}

TEST(GatheringOff, NotByCopy) {
  CountingKernel kernel;
  Rig rig(kernel, {.mode = Mode::kCopy});
  const std::string text = pattern(24 * kMiB);
  std::size_t sent = 0;
  Received arrived;
  ASSERT_TRUE(rig.turn_until([&] {
    const ssize_t n =
        ::send(rig.client.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (n > 0) sent += static_cast<std::size_t>(n);
    arrived.read_from(rig.target.get());
    return arrived.bytes.size() == text.size();
  }));
  EXPECT_EQ(kernel.calls["setsockopt"], 0);
}

}  // namespace
}  // namespace sluice::relay
