#include "box/device/queue_place.h"

#include <gtest/gtest.h>

#include "unit/box/device/mock_machine.h"

namespace sluice::box::test {
namespace {

TEST(QueuePlace, IsWhereTheDriverPutIt) {
  MockQueues queues(1, 8, 4096);
  const auto place = queue_place(queues.memory(), queues.setups()[0], {.event_index = true});
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(place->size, 8U);
  EXPECT_EQ(place->base, 0U);
  EXPECT_EQ(place->descriptors.data(), queues[0].descriptor(0));
  EXPECT_EQ(place->driver.data(), queues[0].driver_area());
  EXPECT_EQ(place->device.data(), queues[0].device_area());
  EXPECT_EQ(place->device.size(), 4U + 8 * 8 + 2);
}

TEST(QueuePlace, APackedOneStartsAtItsBeginning) {
  MockQueues queues(1, 8, 4096);
  const auto place = queue_place(queues.memory(), queues.setups()[0], {.packed = true});
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(place->base, virtio::kPackedStart);
}

TEST(QueuePlace, OutsideOfTheMemoryThereIsNone) {
  MockQueues queues(1, 8, 4096);
  const auto setup = queues.setups()[0];
  const std::uint64_t last = setup.descriptors + queues[0].bytes().size() - 1;
  for (const std::uint64_t address : {std::uint64_t{0}, last, ~std::uint64_t{0}}) {
    auto wild = setup;
    wild.descriptors = address;
    EXPECT_FALSE(queue_place(queues.memory(), wild, {}).has_value());
    wild = setup;
    wild.driver = address;
    EXPECT_FALSE(queue_place(queues.memory(), wild, {}).has_value());
    wild = setup;
    wild.device = address;
    EXPECT_FALSE(queue_place(queues.memory(), wild, {}).has_value());
  }
}

}  // namespace
}  // namespace sluice::box::test
