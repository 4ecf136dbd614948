#include "virtio/ring/virtqueue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "unit/virtio/mock_drivers.h"

namespace sluice::virtio::test {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes content_of(const Chain& chain) {
  Bytes content;
  for (const ByteView piece : chain.readable)
    content.insert(content.end(), piece.begin(), piece.end());
  return content;
}

Bytes numbered(std::size_t size, unsigned first) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(first + i);
  return bytes;
}

// What the header says a user writes, in a form that compiles.
TEST(VirtqueueExample, Runs) {
  MockSplitDriver driver({.size = 256});
  for (unsigned i = 0; i < 40; ++i) ASSERT_TRUE(driver.offer({driver.readable(numbered(10, i))}));
  driver.show();
  std::vector<Bytes> used;
  std::size_t calls = 0;
  const auto use = [&](ByteView piece) { used.emplace_back(piece.begin(), piece.end()); };
  const auto call_the_driver = [&] { ++calls; };
  const MutableBytes mapped = driver.bytes();
  const std::uint64_t driver_at =
      MockDriver::kUserBase + static_cast<std::uint64_t>(driver.driver_area() - mapped.data());
  const std::uint64_t device_at =
      MockDriver::kUserBase + static_cast<std::uint64_t>(driver.device_area() - mapped.data());

  const auto example = [&] {
    GuestMemory memory;
    if (!memory.add({.guest_address = MockDriver::kGuestBase,
                     .user_address = MockDriver::kUserBase,
                     .bytes = mapped}))
      return;
    Virtqueue queue;
    QueueConfig config{.size = 256};
    const RingSizes sizes = ring_sizes(config.size, config.features);
    config.descriptors = memory.find_user(MockDriver::kUserBase, sizes.descriptors);
    config.driver = memory.find_user(driver_at, sizes.driver);
    config.device = memory.find_user(device_at, sizes.device);
    if (!queue.start(memory, config)) return;
    do {
      const auto taken = queue.take(32);
      if (!taken) return;
      for (const Chain& chain : *taken) {
        for (const ByteView piece : chain.readable) use(piece);
        queue.give(chain, 0);
      }
      queue.publish();
      if (queue.needs_call()) call_the_driver();
    } while (queue.enable_kicks());
  };
  example();
  ASSERT_EQ(used.size(), 40U);
  EXPECT_EQ(used[39], numbered(10, 39));
  EXPECT_EQ(calls, 2U);
}

struct Format {
  RingFeatures features;
  const char* name;
};

class VirtqueueTest : public testing::TestWithParam<Format> {
 protected:
  void begin(std::size_t size, std::uint32_t base) {
    driver_ = make_mock_driver({.size = size, .features = GetParam().features, .base = base});
    ASSERT_TRUE(queue_.start(driver_->memory(), driver_->config()));
  }
  void begin(std::size_t size = 8) { begin(size, GetParam().features.packed ? kPackedStart : 0); }
  // Takes all, gives all back.
  std::vector<Bytes> pass() {
    std::vector<Bytes> passed;
    const auto taken = queue_.take(64);
    if (!taken) return passed;
    for (const Chain& chain : *taken) {
      passed.push_back(content_of(chain));
      queue_.give(chain, 0);
    }
    queue_.publish();
    return passed;
  }
  [[nodiscard]] MockDriver::Form form() const {
    return GetParam().features.indirect ? MockDriver::Form::kIndirect : MockDriver::Form::kDirect;
  }

  std::unique_ptr<MockDriver> driver_;
  Virtqueue queue_;
};

class IndirectTest : public VirtqueueTest {};
class DirectTest : public VirtqueueTest {};
class EventIndexTest : public VirtqueueTest {};

TEST_P(VirtqueueTest, WhatIsNotShownIsNotTaken) {
  begin();
  ASSERT_TRUE(driver_->offer({driver_->readable(numbered(4, 1))}));
  ASSERT_TRUE(queue_.take(8));
  EXPECT_TRUE(queue_.take(8)->empty());
  driver_->show();
  EXPECT_EQ(pass(), (std::vector<Bytes>{numbered(4, 1)}));
}

TEST_P(VirtqueueTest, PiecesComeInOrderAndWrittenBytesArrive) {
  begin();
  const MockBuffer room = driver_->writable(100);
  const auto id = driver_->offer(
      {driver_->readable(numbered(4, 1)), driver_->readable(numbered(6, 50)), room}, form());
  ASSERT_TRUE(id);
  driver_->show();
  const auto taken = queue_.take(8);
  ASSERT_TRUE(taken);
  ASSERT_EQ(taken->size(), 1U);
  const Chain& chain = taken->front();
  EXPECT_EQ(chain.readable.size(), 2U);
  EXPECT_EQ(chain.readable_bytes, 10U);
  EXPECT_EQ(chain.writable_bytes, 100U);
  Bytes expected = numbered(4, 1);
  std::ranges::copy(numbered(6, 50), std::back_inserter(expected));
  EXPECT_EQ(content_of(chain), expected);
  EXPECT_EQ(chain.writable.front().data(), driver_->at(room).data());
  queue_.give(chain, 7);
  EXPECT_FALSE(driver_->take_used());
  queue_.publish();
  EXPECT_EQ(driver_->take_used(), (MockDriver::Used{*id, 7}));
  EXPECT_FALSE(driver_->take_used());
}

TEST_P(VirtqueueTest, ManyTurnsOfTheRing) {
  begin();
  for (unsigned round = 0; round < 40'000; ++round) {
    const std::size_t count = round % 3 + 1;
    for (std::size_t i = 0; i < count; ++i) {
      const auto first = static_cast<std::uint8_t>(round + i);
      ASSERT_TRUE(driver_->offer(
          {driver_->readable(numbered(1, first)), driver_->readable(numbered(1, 7))}, form()));
    }
    driver_->show();
    const std::vector<Bytes> passed = pass();
    ASSERT_EQ(passed.size(), count);
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(passed[i], (Bytes{static_cast<std::uint8_t>(round + i), 7}));
      ASSERT_TRUE(driver_->take_used());
    }
    ASSERT_FALSE(driver_->take_used());
  }
}

TEST_P(VirtqueueTest, TheWholeRingAtOnce) {
  begin();
  for (unsigned i = 0; i < 8; ++i) ASSERT_TRUE(driver_->offer({driver_->readable(numbered(3, i))}));
  EXPECT_FALSE(driver_->offer({driver_->readable(numbered(3, 9))}));
  driver_->show();
  EXPECT_EQ(pass().size(), 8U);
  EXPECT_TRUE(pass().empty());
  for (unsigned i = 0; i < 8; ++i) ASSERT_TRUE(driver_->take_used());
}

TEST_P(VirtqueueTest, WhatIsPutBackComesAgain) {
  begin();
  for (unsigned i = 0; i < 5; ++i) ASSERT_TRUE(driver_->offer({driver_->readable(numbered(3, i))}));
  driver_->show();
  const auto taken = queue_.take(5);
  ASSERT_TRUE(taken);
  ASSERT_EQ(taken->size(), 5U);
  queue_.give((*taken)[0], 0);
  queue_.give((*taken)[1], 0);
  queue_.put_back(3);
  EXPECT_EQ(queue_.outstanding(), 0U);
  queue_.publish();
  EXPECT_EQ(pass(), (std::vector<Bytes>{numbered(3, 2), numbered(3, 3), numbered(3, 4)}));
  for (unsigned i = 0; i < 5; ++i) ASSERT_TRUE(driver_->take_used());
}

TEST_P(VirtqueueTest, TheNextDeviceGoesOnWhereThisOneEnded) {
  begin();
  for (unsigned i = 0; i < 6; ++i) ASSERT_TRUE(driver_->offer({driver_->readable(numbered(3, i))}));
  driver_->show();
  const auto first = queue_.take(2);
  ASSERT_TRUE(first);
  for (const Chain& chain : *first) queue_.give(chain, 0);
  queue_.publish();
  // Taken, and not given back: the next device takes it again.
  ASSERT_EQ(queue_.take(1)->size(), 1U);
  QueueConfig config = driver_->config();
  config.base = queue_.base();
  queue_.stop();
  ASSERT_FALSE(queue_.take(1));
  ASSERT_TRUE(queue_.start(driver_->memory(), config));
  EXPECT_EQ(pass(),
            (std::vector<Bytes>{numbered(3, 2), numbered(3, 3), numbered(3, 4), numbered(3, 5)}));
  for (unsigned i = 0; i < 6; ++i) ASSERT_TRUE(driver_->take_used());
}

TEST_P(VirtqueueTest, TheFirstCallComes) {
  begin();
  ASSERT_TRUE(driver_->offer({driver_->readable(numbered(3, 1))}));
  driver_->show();
  EXPECT_FALSE(queue_.needs_call());
  EXPECT_EQ(pass().size(), 1U);
  EXPECT_TRUE(queue_.needs_call());
  EXPECT_FALSE(queue_.needs_call());
}

TEST_P(VirtqueueTest, ACallIsAsTheDriverWantsIt) {
  begin();
  unsigned calls = 0;
  const auto pass_one = [&] {
    ASSERT_TRUE(driver_->offer({driver_->readable(numbered(3, 1))}));
    driver_->show();
    ASSERT_EQ(pass().size(), 1U);
    calls += queue_.needs_call() ? 1 : 0;
    ASSERT_TRUE(driver_->take_used());
  };
  pass_one();
  calls = 0;
  driver_->want_calls(MockDriver::Calls::kNever);
  for (int i = 0; i < 100; ++i) pass_one();
  EXPECT_EQ(calls, 0U);
  for (int i = 0; i < 100; ++i) {
    driver_->want_calls(GetParam().features.event_index ? MockDriver::Calls::kAtNextUsed
                                                        : MockDriver::Calls::kAlways);
    pass_one();
  }
  EXPECT_EQ(calls, 100U);
}

TEST_P(EventIndexTest, AnEventIndexGathersCalls) {
  begin();
  const auto pass_one = [&] {
    EXPECT_TRUE(driver_->offer({driver_->readable(numbered(3, 1))}));
    driver_->show();
    EXPECT_EQ(pass().size(), 1U);
    const bool call = queue_.needs_call();
    EXPECT_TRUE(driver_->take_used());
    return call;
  };
  (void)pass_one();
  for (int round = 0; round < 50; ++round) {
    driver_->want_call_behind(2);
    EXPECT_FALSE(pass_one());
    EXPECT_FALSE(pass_one());
    EXPECT_TRUE(pass_one());
    EXPECT_FALSE(pass_one());
  }
}

TEST_P(VirtqueueTest, KicksAreWantedOnceEnabled) {
  begin();
  queue_.disable_kicks();
  for (int round = 0; round < 50; ++round) {
    ASSERT_FALSE(queue_.enable_kicks());
    ASSERT_TRUE(driver_->offer({driver_->readable(numbered(3, 1))}));
    driver_->show();
    EXPECT_TRUE(driver_->kick_wanted());
    // It may be that it came before kicks were enabled: then nobody kicks for it.
    ASSERT_TRUE(queue_.enable_kicks());
    queue_.disable_kicks();
    ASSERT_EQ(pass().size(), 1U);
    ASSERT_TRUE(driver_->take_used());
    ASSERT_TRUE(driver_->offer({driver_->readable(numbered(3, 1))}));
    driver_->show();
    EXPECT_FALSE(driver_->kick_wanted());
    ASSERT_EQ(pass().size(), 1U);
    ASSERT_TRUE(driver_->take_used());
  }
}

TEST_P(VirtqueueTest, ABufferMayLieAcrossRegions) {
  begin();
  Bytes other(256, 9);
  const MutableBytes all = driver_->bytes();
  ASSERT_TRUE(driver_->memory().add({.guest_address = MockDriver::kGuestBase + all.size(),
                                     .user_address = 0x1000,
                                     .bytes = other}));
  const MockBuffer buffer{MockDriver::kGuestBase + all.size() - 3, 10, false};
  ASSERT_TRUE(driver_->offer({buffer}, form()));
  driver_->show();
  const auto taken = queue_.take(1);
  ASSERT_TRUE(taken);
  ASSERT_EQ(taken->front().readable.size(), 2U);
  EXPECT_EQ(taken->front().readable[1].data(), other.data());
  EXPECT_EQ(taken->front().readable_bytes, 10U);
}

TEST_P(VirtqueueTest, WrittenPagesAreLogged) {
  begin();
  Bytes bitmap((MockDriver::kGuestBase + driver_->bytes().size()) / DirtyLog::kPageSize / 8 + 1);
  driver_->memory().set_dirty_log(DirtyLog(bitmap));
  const MockBuffer room = driver_->writable(100);
  ASSERT_TRUE(driver_->offer({room}, form()));
  driver_->show();
  queue_.give(queue_.take(1)->front(), 5);
  queue_.publish();
  const auto logged = [&](std::uint64_t address) {
    const std::uint64_t page = address / DirtyLog::kPageSize;
    return (bitmap[page / 8] >> (page % 8) & 1) != 0;
  };
  EXPECT_TRUE(logged(room.address));
  EXPECT_TRUE(logged(MockDriver::kGuestBase));
  EXPECT_FALSE(logged(room.address + 2 * DirtyLog::kPageSize));
}

TEST_P(VirtqueueTest, AMistakeOfTheDriverBreaksTheQueueUntilItIsStarted) {
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

TEST_P(VirtqueueTest, ChainsThatNoDriverShouldMake) {
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

TEST_P(VirtqueueTest, FourGigabytesInAChainAreTooMany) {
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

TEST_P(VirtqueueTest, ConfigurationsThatCannotBe) {
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

TEST(Virtqueue, AStoppedQueueHasNothing) {
  Virtqueue queue;
  EXPECT_FALSE(queue.started());
  EXPECT_EQ(queue.take(1).error(), RingFault::kNotStarted);
  EXPECT_FALSE(queue.enable_kicks());
  EXPECT_FALSE(queue.needs_call());
  EXPECT_EQ(queue.base(), 0U);
  EXPECT_TRUE(queue.held().empty());
}

constexpr RingFeatures features(bool packed, bool event, bool indirect, bool in_order) {
  return {.packed = packed, .event_index = event, .indirect = indirect, .in_order = in_order};
}
constexpr Format kSplit{features(false, false, false, false), "Split"};
constexpr Format kSplitEventIndirect{features(false, true, true, false), "SplitEventIndirect"};
constexpr Format kSplitInOrder{features(false, true, false, true), "SplitInOrder"};
constexpr Format kPacked{features(true, false, false, false), "Packed"};
constexpr Format kPackedEventIndirect{features(true, true, true, false), "PackedEventIndirect"};
constexpr Format kPackedInOrder{features(true, true, false, true), "PackedInOrder"};

std::string name_of(const testing::TestParamInfo<Format>& one) { return one.param.name; }

INSTANTIATE_TEST_SUITE_P(Formats, VirtqueueTest,
                         testing::Values(kSplit, kSplitEventIndirect, kSplitInOrder, kPacked,
                                         kPackedEventIndirect, kPackedInOrder),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Formats, IndirectTest,
                         testing::Values(kSplitEventIndirect, kPackedEventIndirect), name_of);
INSTANTIATE_TEST_SUITE_P(Formats, DirectTest, testing::Values(kSplit, kPacked), name_of);
INSTANTIATE_TEST_SUITE_P(Formats, EventIndexTest,
                         testing::Values(kSplitEventIndirect, kSplitInOrder, kPackedEventIndirect,
                                         kPackedInOrder),
                         name_of);

}  // namespace
}  // namespace sluice::virtio::test
