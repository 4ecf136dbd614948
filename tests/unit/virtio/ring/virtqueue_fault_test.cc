// What a driver must not do, in either format.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/prng.h"
#include "unit/virtio/ring/virtqueue_fixture.h"

namespace sluice::virtio::test {
namespace {

class VirtqueueFaultTest : public VirtqueueTest {};
class IndirectTest : public VirtqueueTest {};
class DirectTest : public VirtqueueTest {};

TEST_P(VirtqueueFaultTest, AMistakeOfTheDriverBreaksTheQueueUntilItIsStarted) {
  begin();
  ASSERT_TRUE(driver_->offer({driver_->readable(numbered(3, 1))}));
  ASSERT_TRUE(driver_->offer({MockBuffer{0x10, 5, false}}, form()));
  driver_->show();
  // The good one first.
  ASSERT_EQ(queue_.take(8)->size(), 1U);
  EXPECT_EQ(queue_.take(8).error(), RingFault::kWildAddress);
  EXPECT_EQ(queue_.fault(), RingFault::kWildAddress);
  EXPECT_EQ(queue_.take(8).error(), RingFault::kWildAddress);
  queue_.publish();
  EXPECT_FALSE(driver_->take_used());
  EXPECT_FALSE(queue_.enable_kicks());
  begin();
  EXPECT_FALSE(queue_.fault());
  ASSERT_TRUE(driver_->offer({driver_->readable(numbered(3, 1))}));
  driver_->show();
  EXPECT_EQ(pass().size(), 1U);
}

struct BadChain {
  std::vector<MockBuffer> chain;
  RingFault fault;
};

TEST_P(VirtqueueFaultTest, ChainsThatNoDriverShouldMake) {
  constexpr std::uint64_t kBase = MockDriver::kGuestBase;
  constexpr std::uint64_t kData = kBase + 0x8000;
  const std::vector<BadChain> bad = {
      {{{kData, 0, false}}, RingFault::kZeroLength},
      {{{0, 1, false}}, RingFault::kWildAddress},
      {{{kBase - 1, 2, false}}, RingFault::kWildAddress},
      {{{UINT64_MAX, 2, false}}, RingFault::kWildAddress},
      {{{UINT64_MAX - 0xfff, 0x2000, true}}, RingFault::kWildAddress},
      {{{kData, UINT32_MAX, false}}, RingFault::kWildAddress},
      {{{kData, 5, true}, {kData, 5, false}}, RingFault::kReadableAfterWritable},
      {{{kData, 5, false}, {kData, 5, true}, {kData, 5, false}}, RingFault::kReadableAfterWritable},
  };
  for (const BadChain& one : bad) {
    begin();
    ASSERT_TRUE(driver_->offer(one.chain, form()));
    driver_->show();
    const auto taken = queue_.take(8);
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error(), one.fault) << text_of(taken.error());
  }
}

TEST_P(VirtqueueFaultTest, FourGigabytesInAChainAreTooMany) {
  begin(32);
  // The same memory again and again: the sum is what counts.
  const std::vector<MockBuffer> chain(5, MockBuffer{0x1'0000'0000, 0x4000'0000, false});
  // No such memory is there, and none is touched: an address of its own is enough.
  ASSERT_TRUE(driver_->memory().add({.guest_address = 0x1'0000'0000,
                                     .user_address = 0x10,
                                     .bytes = {driver_->bytes().data(), 0x4000'0000}}));
  ASSERT_TRUE(driver_->offer(chain, form()));
  driver_->show();
  EXPECT_EQ(queue_.take(8).error(), RingFault::kTooManyBytes);
}

TEST_P(IndirectTest, TablesThatNoDriverShouldMake) {
  const auto fault_of = [&](const MockBuffer& table, std::uint16_t flags) {
    begin();
    if (auto* const packed = dynamic_cast<MockPackedDriver*>(driver_.get())) {
      packed->put(table, static_cast<std::uint16_t>(flags | Descriptor::kIndirect), 3);
    } else {
      store_word(driver_->descriptor(0), table.address, std::memory_order_relaxed);
      store_word(driver_->descriptor(0) + 8, table.length, std::memory_order_relaxed);
      store_word(driver_->descriptor(0) + 12,
                 static_cast<std::uint16_t>(flags | Descriptor::kIndirect),
                 std::memory_order_relaxed);
      dynamic_cast<MockSplitDriver&>(*driver_).push_head(0);
    }
    driver_->show();
    const auto taken = queue_.take(8);
    return taken ? std::nullopt : std::optional(taken.error());
  };
  constexpr std::uint64_t kTable = MockDriver::kGuestBase + 0x8000;
  EXPECT_EQ(fault_of({kTable, 17, false}, 0), RingFault::kIndirectBadSize);
  EXPECT_EQ(fault_of({kTable, 0, false}, 0), RingFault::kIndirectBadSize);
  EXPECT_EQ(fault_of({kTable, 0xffff'fff0, false}, 0), RingFault::kIndirectTooLong);
  EXPECT_EQ(fault_of({kTable, 16 * 1025, false}, 0), RingFault::kIndirectTooLong);
  EXPECT_EQ(fault_of({0, 16, false}, 0), RingFault::kWildAddress);
  EXPECT_EQ(fault_of({UINT64_MAX - 8, 16, false}, 0), RingFault::kWildAddress);
  EXPECT_EQ(fault_of({kTable, 16, false}, Descriptor::kNext), RingFault::kIndirectWithNext);
  // The table is zeros: its entry has no bytes.
  EXPECT_EQ(fault_of({kTable, 16, false}, 0), RingFault::kZeroLength);
}

TEST_P(IndirectTest, AnIndirectTableInATableIsRefused) {
  begin();
  ASSERT_TRUE(driver_->offer({driver_->readable(numbered(3, 1))}, MockDriver::Form::kIndirect));
  driver_->show();
  const auto table = load_word<std::uint64_t>(driver_->descriptor(0), std::memory_order_relaxed);
  std::uint8_t* const entry = driver_->bytes().data() + (table - MockDriver::kGuestBase);
  store_word(entry + (GetParam().features.packed ? 14 : 12), Descriptor::kIndirect,
             std::memory_order_relaxed);
  EXPECT_EQ(queue_.take(1).error(), RingFault::kIndirectNested);
}

TEST_P(DirectTest, IndirectIsRefusedWhereItWasNotNegotiated) {
  begin();
  ASSERT_TRUE(driver_->offer({driver_->readable(numbered(3, 1))}, MockDriver::Form::kIndirect));
  driver_->show();
  EXPECT_EQ(queue_.take(1).error(), RingFault::kIndirectNotNegotiated);
}

TEST_P(VirtqueueFaultTest, ConfigurationsThatCannotBe) {
  begin();
  const auto fault_of = [&](auto change) {
    QueueConfig config = driver_->config();
    change(config);
    const auto started = queue_.start(driver_->memory(), config);
    EXPECT_FALSE(queue_.started() && !started);
    return started ? std::nullopt : std::optional(started.error());
  };
  EXPECT_EQ(fault_of([](QueueConfig& c) { c.size = 0; }), RingFault::kBadQueueSize);
  EXPECT_EQ(fault_of([](QueueConfig& c) { c.size = 65'536; }), RingFault::kBadQueueSize);
  EXPECT_EQ(fault_of([](QueueConfig& c) { c.size = 16; }), RingFault::kBadRingArea);
  EXPECT_EQ(fault_of([](QueueConfig& c) { c.descriptors = {}; }), RingFault::kBadRingArea);
  EXPECT_EQ(fault_of([](QueueConfig& c) { c.driver = c.driver.first(3); }),
            RingFault::kBadRingArea);
  EXPECT_EQ(fault_of([](QueueConfig& c) { c.device = c.device.subspan(1); }),
            RingFault::kBadRingArea);
  EXPECT_EQ(fault_of([](QueueConfig& c) {
              c.size = 4;
              c.descriptors = c.descriptors.subspan(8);
            }),
            RingFault::kBadRingArea);
}

TEST_P(VirtqueueFaultTest, AResetBetweenTakingAndGivingWritesNothingMore) {
  begin();
  for (unsigned i = 0; i < 3; ++i) {
    ASSERT_TRUE(driver_->offer({driver_->readable(numbered(3, i)), driver_->writable(5)}, form()));
  }
  driver_->show();
  ASSERT_EQ(queue_.take(3)->size(), 3U);
  queue_.give(queue_.held()[0], 5);
  const Bytes before(driver_->bytes().begin(), driver_->bytes().end());
  queue_.stop();
  queue_.publish();
  EXPECT_FALSE(queue_.needs_call());
  EXPECT_FALSE(queue_.enable_kicks());
  EXPECT_TRUE(queue_.held().empty());
  EXPECT_EQ(queue_.outstanding(), 0U);
  EXPECT_TRUE(std::ranges::equal(before, driver_->bytes()));
  // A ring that begins knows nothing of what was under way.
  begin();
  EXPECT_TRUE(queue_.take(8)->empty());
  EXPECT_TRUE(pass().empty());
  EXPECT_FALSE(driver_->take_used());
}

// What a processor of the guest writes that has no manners: mostly something that could be.
class Scribbler {
 public:
  Scribbler(MockDriver& driver) : driver_(driver), thread_([this] { run(); }) {}
  ~Scribbler() {
    done_ = true;
    thread_.join();
  }

 private:
  void run() {
    const bool packed = driver_.options().features.packed;
    for (std::uint16_t index = 0; !done_; ++index) {
      std::uint8_t* const at = driver_.descriptor(draw(8));
      const std::uint64_t address =
          draw(32) == 0 ? prng_.next() : MockDriver::kGuestBase + draw(30'000);
      const std::uint64_t flags = draw(8);
      const std::uint64_t length = draw(32) == 0 ? draw(UINT32_MAX) : 16 * draw(64);
      const std::uint64_t rest =
          packed ? (flags | draw(2) << 7 | draw(2) << 15) << 48 : flags << 32 | draw(8) << 48;
      store_word(at, address, std::memory_order_relaxed);
      store_word(at + 8, rest | length, std::memory_order_relaxed);
      if (packed) continue;
      store_word(driver_.driver_area() + 4 + 2 * draw(8), static_cast<std::uint16_t>(draw(9)),
                 std::memory_order_relaxed);
      store_word(driver_.driver_area() + 2, index, std::memory_order_release);
    }
  }
  std::uint64_t draw(std::uint64_t bound) { return prng_.next() % bound; }

  MockDriver& driver_;
  Prng prng_{1};
  std::atomic<bool> done_ = false;
  std::thread thread_;  // Last: it uses all of these.
};

TEST_P(VirtqueueFaultTest, WhateverIsWrittenMeanwhileChainsAreTheGuestsMemory) {
  begin();
  const MutableBytes memory = driver_->bytes();
  const Scribbler scribbler(*driver_);
  for (int round = 0; round < 20'000; ++round) {
    const auto taken = queue_.take(8);
    if (!taken) {
      QueueConfig config = driver_->config();
      const auto index =
          load_word<std::uint16_t>(driver_->driver_area() + 2, std::memory_order_relaxed);
      config.base = GetParam().features.packed ? kPackedStart : index - 4U;
      ASSERT_TRUE(queue_.start(driver_->memory(), config));
      continue;
    }
    for (const Chain& chain : *taken) {
      std::size_t bytes = 0;
      for (const ByteView piece : chain.readable) {
        bytes += piece.size();
        ASSERT_GE(piece.data(), memory.data());
        ASSERT_LE(piece.data() + piece.size(), memory.data() + memory.size());
      }
      ASSERT_EQ(bytes, chain.readable_bytes);
      queue_.give(chain, 0);
    }
    queue_.publish();
    (void)queue_.needs_call();
    (void)queue_.enable_kicks();
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, VirtqueueFaultTest,
                         testing::Values(kSplit, kSplitEventIndirect, kSplitInOrder, kPacked,
                                         kPackedEventIndirect, kPackedInOrder),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Formats, IndirectTest,
                         testing::Values(kSplitEventIndirect, kPackedEventIndirect), name_of);
INSTANTIATE_TEST_SUITE_P(Formats, DirectTest, testing::Values(kSplit, kPacked), name_of);

}  // namespace
}  // namespace sluice::virtio::test
