#include "virtio/ring/queue_config.h"

#include <gtest/gtest.h>

namespace sluice::virtio {
namespace {

// virtio 1.2, 2.7: 16 × size, 6 + 2 × size, 6 + 8 × size with the event indices.
TEST(RingSizes, AreTheSpecifications) {
  const RingSizes split = ring_sizes(256, {.event_index = true});
  EXPECT_EQ(split.descriptors, 4096U);
  EXPECT_EQ(split.driver, 6U + 2 * 256);
  EXPECT_EQ(split.device, 6U + 8 * 256);
  const RingSizes plain = ring_sizes(256, {});
  EXPECT_EQ(plain.driver, 4U + 2 * 256);
  EXPECT_EQ(plain.device, 4U + 8 * 256);
  const RingSizes packed = ring_sizes(100, {.packed = true, .event_index = true});
  EXPECT_EQ(packed.descriptors, 1600U);
  EXPECT_EQ(packed.driver, 4U);
  EXPECT_EQ(packed.device, 4U);
}

}  // namespace
}  // namespace sluice::virtio
