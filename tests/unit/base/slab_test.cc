#include "base/slab.h"

#include <gtest/gtest.h>

#include <memory>

namespace sluice {
namespace {

TEST(Slab, AStaleHandleFindsNothing) {
  Slab<int> slab;
  const SlabHandle first = slab.emplace(1);
  slab.erase(first);
  const SlabHandle second = slab.emplace(2);
  EXPECT_EQ(second.index, first.index);  // The place is reused,
  EXPECT_EQ(slab.find(first), nullptr);  // but not the name.
  ASSERT_NE(slab.find(second), nullptr);
  EXPECT_EQ(*slab.find(second), 2);
  slab.erase(first);
  EXPECT_EQ(slab.size(), 1U);
}

TEST(Slab, ObjectsStayWhereTheyAreWhileItGrows) {
  Slab<int> slab;
  int* first = slab.find(slab.emplace(0));
  for (int i = 1; i < 1000; ++i) (void)slab.emplace(i);
  EXPECT_EQ(*first, 0);
  EXPECT_EQ(slab.size(), 1000U);
}

TEST(Slab, DestroysWhatIsLeft) {
  auto watched = std::make_shared<int>(1);
  {
    Slab<std::shared_ptr<int>> slab;
    (void)slab.emplace(watched);
    slab.erase(slab.emplace(watched));
    EXPECT_EQ(watched.use_count(), 2);
  }
  EXPECT_EQ(watched.use_count(), 1);
}

TEST(Slab, AHandleOutOfRangeFindsNothing) {
  Slab<int> slab;
  EXPECT_EQ(slab.find(SlabHandle{}), nullptr);
  EXPECT_EQ(slab.find(SlabHandle{5, 1}), nullptr);
}

}  // namespace
}  // namespace sluice
