// No allocation for a frame: counts operator new while both queues of a network device work.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "unit/virtio/mock_drivers.h"
#include "virtio/net/receive_queue.h"
#include "virtio/net/transmit_queue.h"

namespace {

std::size_t allocations = 0;

void* counted(std::size_t size) {
  ++allocations;
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace sluice::virtio::test {
namespace {

class NoAllocation : public testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] static MockOptions options() {
    return {.size = 256,
            .features = {.packed = GetParam(), .event_index = true, .indirect = true},
            .base = GetParam() ? kPackedStart : 0};
  }
  // What the driver does allocates, and is not counted.
  void offer(const MockBuffer& buffer) {
    for (int i = 0; i < 32; ++i) ASSERT_TRUE(driver_->offer({buffer}, MockDriver::Form::kIndirect));
    driver_->show();
  }
  void take_used() {
    while (driver_->take_used()) {
    }
  }

  std::unique_ptr<MockDriver> driver_ = make_mock_driver(options());
};

TEST_P(NoAllocation, FramesOfTheGuest) {
  TransmitQueue queue;
  FrameBurst burst;
  ASSERT_TRUE(queue.ring().start(driver_->memory(), driver_->config()));
  const MockBuffer frame = driver_->readable(std::vector<std::uint8_t>(1512));
  for (int round = 0; round < 50; ++round) {
    offer(frame);
    const std::size_t before = allocations;
    ASSERT_TRUE(queue.read(burst));
    ASSERT_EQ(burst.frames().size(), 32U);
    (void)queue.release();
    (void)queue.ring().enable_kicks();
    burst.clear();
    ASSERT_EQ(allocations, before);
    take_used();
  }
}

TEST_P(NoAllocation, FramesToTheGuest) {
  ReceiveQueue queue;
  wire::FrameBatch batch;
  const std::vector<std::uint8_t> payload(1400);
  ASSERT_TRUE(queue.ring().start(driver_->memory(), driver_->config()));
  for (int round = 0; round < 50; ++round) {
    offer(driver_->writable(1526));
    const std::size_t before = allocations;
    batch.clear();
    for (int i = 0; i < 32; ++i) (void)batch.add(54, payload, {});
    ASSERT_EQ(queue.write(batch).lost, 0U);
    ASSERT_EQ(allocations, before);
    take_used();
  }
}

TEST_P(NoAllocation, FramesWhosePayloadIsThereAlready) {
  ReceiveQueue queue;
  wire::FrameBatch batch;
  const std::vector<std::uint8_t> payload(24'000);
  ASSERT_TRUE(queue.ring().start(driver_->memory(), driver_->config()));
  queue.set_format(header_format({Feature::kVersion1, Feature::kMrgRxbuf}));
  for (int round = 0; round < 50; ++round) {
    offer(driver_->writable(1526));
    const std::size_t before = allocations;
    batch.clear();
    ASSERT_FALSE(queue.room_for({.headers = 54, .payload = 24'000, .bytes = 48'000}).empty());
    for (int i = 0; i < 2; ++i) (void)batch.add(54, payload, {});
    ASSERT_EQ(queue.fill_room(batch).next, 2U);
    // Its memory is taken with the first.
    if (round > 0) {
      ASSERT_EQ(allocations, before);
    }
    take_used();
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, NoAllocation, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& one) {
                           return one.param ? std::string("Packed") : std::string("Split");
                         });

}  // namespace
}  // namespace sluice::virtio::test
