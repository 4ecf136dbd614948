#include "virtio/rng/entropy_queue.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "unit/virtio/mock_drivers.h"

namespace sluice::virtio::test {
namespace {

class EntropyQueueTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(queue_.ring().start(driver_.memory(), driver_.config()).has_value());
  }
  EntropyQueue::Served serve(const EntropySource& source) {
    const auto served = queue_.serve(source);
    EXPECT_TRUE(served.has_value());
    return served ? *served : EntropyQueue::Served{};
  }
  const EntropySource all_ = [this](MutableBytes bytes) {
    std::ranges::fill(bytes, std::uint8_t{0x5a});
    drawn_ += bytes.size();
    return bytes.size();
  };

  MockSplitDriver driver_{{.size = 32, .data_bytes = 65'536}};
  EntropyQueue queue_;
  std::size_t drawn_ = 0;
};

TEST_F(EntropyQueueTest, BuffersComeBackFull) {
  const MockBuffer one = driver_.writable(32);
  const MockBuffer two = driver_.writable(16);
  driver_.offer({one, two});
  driver_.show();
  EXPECT_TRUE(serve(all_).call);
  EXPECT_EQ(driver_.take_used()->written, 48U);
  EXPECT_EQ(driver_.at(two)[15], 0x5a);
}

TEST_F(EntropyQueueTest, ALargeBufferHasAsMuchAsOneMayHave) {
  driver_.offer({driver_.writable(3000), driver_.writable(3000), driver_.writable(3000)});
  driver_.show();
  serve(all_);
  EXPECT_EQ(driver_.take_used()->written, EntropyQueue::kChainMax);
  EXPECT_EQ(drawn_, EntropyQueue::kChainMax);
}

TEST_F(EntropyQueueTest, ASourceThatHasLessEndsTheBuffer) {
  driver_.offer({driver_.writable(32), driver_.writable(32)});
  driver_.show();
  serve([](MutableBytes bytes) { return bytes.size() / 2; });
  EXPECT_EQ(driver_.take_used()->written, 16U);
}

TEST_F(EntropyQueueTest, OneCallServesABurstAndTellsThatThereIsMore) {
  for (std::size_t i = 0; i < EntropyQueue::kChainsMax + 1; ++i) {
    driver_.offer({driver_.writable(8)});
  }
  driver_.show();
  EXPECT_TRUE(serve(all_).more);
  EXPECT_FALSE(serve(all_).more);
  EXPECT_EQ(drawn_, 8 * (EntropyQueue::kChainsMax + 1));
}

TEST_F(EntropyQueueTest, ABufferThatCannotBeWrittenComesBackEmpty) {
  driver_.offer({driver_.readable(std::vector<std::uint8_t>(8))});
  driver_.show();
  serve(all_);
  EXPECT_EQ(driver_.take_used()->written, 0U);
  EXPECT_EQ(drawn_, 0U);
}

TEST(EntropyQueue, AStoppedOneServesNobody) {
  EntropyQueue queue;
  const auto served = queue.serve([](MutableBytes bytes) { return bytes.size(); });
  ASSERT_TRUE(served.has_value());
  EXPECT_FALSE(served->call || served->more);
}

}  // namespace
}  // namespace sluice::virtio::test
