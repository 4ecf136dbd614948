#include "base/event_tag.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

enum class Kind : std::uint8_t { kFirst, kSecond };
using Tag = EventTag<Kind>;

TEST(EventTag, SurvivesPacking) {
  const Tag tag = Tag::unpack(Tag{Kind::kSecond, 0xffff'fffe, 0x12'3456}.pack());
  EXPECT_EQ(tag.kind, Kind::kSecond);
  EXPECT_EQ(tag.index, 0xffff'fffeu);
  EXPECT_EQ(tag.generation, 0x12'3456u);
}

TEST(EventTag, FindsItsObjectAndNoneThatCameAfter) {
  Slab<int> slab;
  const SlabHandle first = slab.emplace(1);
  const Tag tag = Tag::unpack(Tag::of(Kind::kFirst, first).pack());
  EXPECT_EQ(tag.handle_in(slab), first);
  slab.erase(first);
  EXPECT_EQ(slab.find(tag.handle_in(slab)), nullptr);
  const SlabHandle second = slab.emplace(2);
  ASSERT_EQ(second.index, first.index);
  EXPECT_EQ(slab.find(tag.handle_in(slab)), nullptr);
  EXPECT_FALSE((Tag{Kind::kFirst, 1'000'000, 1}.handle_in(slab).valid()));
}

// A place that is used again for every connection of a busy port passes 2^24 within minutes.
TEST(EventTag, FindsAnObjectWhoseGenerationExceedsTheTag) {
  Slab<int> slab;
  SlabHandle handle = slab.emplace(0);
  while (handle.generation <= Tag::kGenerationMask) {
    slab.erase(handle);
    handle = slab.emplace(0);
  }
  const Tag tag = Tag::unpack(Tag::of(Kind::kFirst, handle).pack());
  EXPECT_EQ(tag.handle_in(slab), handle);
  EXPECT_NE(slab.find(tag.handle_in(slab)), nullptr);
}

}  // namespace
}  // namespace sluice
