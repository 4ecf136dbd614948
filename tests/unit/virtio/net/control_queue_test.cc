#include "virtio/net/control_queue.h"

#include <gtest/gtest.h>

#include "unit/virtio/mock_drivers.h"

namespace sluice::virtio::test {
namespace {

using Bytes = std::vector<std::uint8_t>;

class ControlQueueTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(queue_.ring().start(driver_.memory(), driver_.config())); }
  // A command's header, its data and its answer, each in a buffer of its own, as Linux has it.
  MockBuffer offer(const Bytes& header, const Bytes& data) {
    const MockBuffer answer = driver_.writable(1);
    driver_.at(answer)[0] = 0xee;
    EXPECT_TRUE(driver_.offer({driver_.readable(header), driver_.readable(data), answer}));
    driver_.show();
    return answer;
  }

  MockSplitDriver driver_{{.size = 32}};
  ControlQueue queue_;
  NetControlLimits limits_{.accepted = {Feature::kCtrlVq, Feature::kMq}, .queue_pairs_max = 2};
  NetControlState state_;
};

TEST_F(ControlQueueTest, CommandsAreAnswered) {
  const MockBuffer good = offer({4, 0}, {2, 0});
  const MockBuffer bad = offer({4, 0}, {3, 0});
  const auto served = queue_.serve(limits_, state_);
  ASSERT_TRUE(served);
  EXPECT_EQ(served->commands, 2U);
  EXPECT_TRUE(served->call);
  EXPECT_FALSE(served->more);
  EXPECT_EQ(driver_.at(good)[0], 0);
  EXPECT_EQ(driver_.at(bad)[0], 1);
  EXPECT_EQ(state_.queue_pairs, 2);
  EXPECT_EQ(driver_.take_used()->written, 1U);
}

TEST_F(ControlQueueTest, ACommandWithoutRoomForItsAnswerIsStillGivenBack) {
  ASSERT_TRUE(driver_.offer({driver_.readable(Bytes{4, 0, 2, 0})}));
  driver_.show();
  ASSERT_TRUE(queue_.serve(limits_, state_));
  EXPECT_EQ(driver_.take_used()->written, 0U);
}

TEST_F(ControlQueueTest, AnEndlessCommandIsRefused) {
  const MockBuffer answer = offer({4, 0}, Bytes(ControlQueue::kCommandMax));
  ASSERT_TRUE(queue_.serve(limits_, state_));
  EXPECT_EQ(driver_.at(answer)[0], 1);
}

TEST_F(ControlQueueTest, AMistakeOfTheDriverIsTold) {
  ASSERT_TRUE(driver_.offer({MockBuffer{0, 2, false}}));
  driver_.show();
  EXPECT_EQ(queue_.serve(limits_, state_).error(), RingFault::kWildAddress);
}

}  // namespace
}  // namespace sluice::virtio::test
