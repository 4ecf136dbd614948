#include "link/packet/packet_rings.h"

#include <gtest/gtest.h>

#include "unit/link/packet/filled_ring.h"

namespace sluice::link {
namespace {

TEST(PacketRings, EveryShapeHasWholeSlotsInItsBlocks) {
  for (const std::size_t queues : {1U, 2U, 64U}) {
    const QueueRings rings = rings_of(queues);
    for (const RingShape& shape : {rings.for_short, rings.for_long}) {
      EXPECT_EQ(shape.slot_size % 16, 0U);
      EXPECT_LE(std::uint64_t{shape.slot_size} * shape.slots_per_block, kRingBlock);
      EXPECT_GE(shape.slots(), 31U);
    }
    EXPECT_LE(kShortFrameMax + FilledRing::kFrame, rings.for_short.slot_size);
    EXPECT_LE(65'535U + 40 + ETH_HLEN + 4 + FilledRing::kFrame, rings.for_long.slot_size);
  }
}

}  // namespace
}  // namespace sluice::link
