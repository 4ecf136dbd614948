#include "flow/udp/held_datagrams.h"

#include <gtest/gtest.h>

namespace sluice::flow {
namespace {

TEST(HeldDatagrams, SoManyAreKeptAndNoMore) {
  HeldDatagrams held;
  const std::vector<std::uint8_t> one(100, 7);
  for (std::size_t i = 0; i < HeldDatagrams::kBatchesMax; ++i) EXPECT_TRUE(held.add(one, 0, 64));
  EXPECT_FALSE(held.add(one, 0, 64));
  EXPECT_EQ(held.batches().size(), HeldDatagrams::kBatchesMax);
}

TEST(HeldDatagrams, SoManyBytesAreKeptAndNoMore) {
  HeldDatagrams held;
  const std::vector<std::uint8_t> large(60'000, 7);
  EXPECT_TRUE(held.add(large, 1200, 64));
  EXPECT_TRUE(held.add(large, 1200, 3));
  EXPECT_FALSE(held.add(large, 1200, 64));
  EXPECT_EQ(held.batches()[1].bytes, large);
  EXPECT_EQ(held.batches()[1].segment_size, 1200);
  EXPECT_EQ(held.batches()[1].hop_limit, 3);
}

}  // namespace
}  // namespace sluice::flow
