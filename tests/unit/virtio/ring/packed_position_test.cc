#include "virtio/ring/packed_position.h"

#include <gtest/gtest.h>

namespace sluice::virtio {
namespace {

TEST(PackedPosition, TurnsItsCounterAtTheEnd) {
  PackedPosition at{6, true};
  at.advance(1, 8);
  EXPECT_EQ(at, (PackedPosition{7, true}));
  at.advance(1, 8);
  EXPECT_EQ(at, (PackedPosition{0, false}));
  at.advance(8, 8);
  EXPECT_EQ(at, (PackedPosition{0, true}));
  at.go_back(1, 8);
  EXPECT_EQ(at, (PackedPosition{7, false}));
  at.go_back(8, 8);
  EXPECT_EQ(at, (PackedPosition{7, true}));
  at.go_back(7, 8);
  EXPECT_EQ(at, (PackedPosition{0, true}));
  EXPECT_EQ(PackedPosition::of_word((PackedPosition{5, true}.word())), (PackedPosition{5, true}));
}

}  // namespace
}  // namespace sluice::virtio
