#include "virtio/ring/chain_store.h"

#include <gtest/gtest.h>

namespace sluice::virtio {
namespace {

class ChainStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(memory_.add({.guest_address = 0, .user_address = 0, .bytes = bytes_}));
  }
  void add_chain(std::size_t pieces, std::uint16_t flags = 0) {
    store_.begin();
    for (std::size_t i = 0; i < pieces; ++i) ASSERT_FALSE(store_.add({8 * i, 8, flags, 0}));
    store_.finish({.id = static_cast<std::uint16_t>(pieces)});
  }

  std::vector<std::uint8_t> bytes_ = std::vector<std::uint8_t>(64 * 1024);
  GuestMemory memory_;
  ChainStore store_{memory_, 8};
};

TEST_F(ChainStoreTest, PiecesStayWhereTheyAre) {
  add_chain(3);
  const Chain first = store_.chains().front();
  while (store_.has_room()) add_chain(50);
  EXPECT_EQ(store_.chains().front().readable.data(), first.readable.data());
  EXPECT_EQ(first.readable[2].data(), &bytes_[16]);
}

TEST_F(ChainStoreTest, ABurstHasABound) {
  while (store_.has_room()) add_chain(1);
  EXPECT_EQ(store_.chains().size(), ChainStore::kChainsMax);
  store_.clear();
  EXPECT_TRUE(store_.has_room());
  // However long a chain is, it fits whole.
  while (store_.has_room()) add_chain(ChainStore::kIndirectMax, Descriptor::kWrite);
  EXPECT_EQ(store_.chains().size(), 2U);
}

TEST_F(ChainStoreTest, AChainHasABound) {
  store_.begin();
  for (std::size_t i = 0; i < ChainStore::kIndirectMax; ++i) ASSERT_FALSE(store_.add({0, 1, 0, 0}));
  EXPECT_EQ(store_.add({0, 1, 0, 0}), RingFault::kChainTooLong);
}

TEST_F(ChainStoreTest, AChainThatWasNotFinishedIsForgotten) {
  add_chain(2);
  store_.begin();
  ASSERT_FALSE(store_.add({0, 8, 0, 0}));
  ASSERT_TRUE(store_.add({0, 0, 0, 0}));
  add_chain(1, Descriptor::kWrite);
  ASSERT_EQ(store_.chains().size(), 2U);
  EXPECT_TRUE(store_.chains().back().readable.empty());
  EXPECT_EQ(store_.chains().back().writable_bytes, 8U);
  store_.pop();
  EXPECT_EQ(store_.chains().size(), 1U);
}

}  // namespace
}  // namespace sluice::virtio
