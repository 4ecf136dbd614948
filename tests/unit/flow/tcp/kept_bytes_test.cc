#include "flow/tcp/kept_bytes.h"

#include <gtest/gtest.h>

#include "unit/flow/engine/guest_frames.h"

namespace sluice::flow {
namespace {

using test::stream;

TEST(KeptBytes, WhoeverBorrowsThemIsLeftAlone) {
  KeptBytes kept;
  kept.begin();
  kept.add(stream(0, 10));
  const std::uint8_t* before = kept.all().data();
  while (kept.room() > 0) kept.add(stream(kept.all().size(), 1));
  EXPECT_EQ(kept.all().data(), before);
  EXPECT_EQ(kept.all().size(), KeptBytes::kMax + KeptBytes::kRounding);
  const std::vector<std::uint8_t> parted = kept.release();
  EXPECT_EQ(parted.data(), before);
}

TEST(KeptBytes, OnlyWhatIsNewIsNews) {
  KeptBytes kept;
  kept.begin();
  EXPECT_FALSE(kept.take_news(false));
  kept.add(stream(0, 10));
  EXPECT_TRUE(kept.take_news(false));
  EXPECT_FALSE(kept.take_news(false));
  EXPECT_TRUE(kept.take_news(true));  // The end is news, too.
  EXPECT_FALSE(kept.take_news(true));
}

TEST(KeptBytes, TheRestIsWhatTheHostHasNotTaken) {
  KeptBytes kept;
  kept.begin();
  kept.add(stream(0, 10));
  kept.take(4);
  EXPECT_EQ(kept.taken(), 4u);
  const std::vector<std::uint8_t> rest(kept.rest().begin(), kept.rest().end());
  EXPECT_EQ(rest, stream(4, 6));
  kept.take(100);
  EXPECT_TRUE(kept.rest().empty());
  EXPECT_EQ(kept.taken(), 10u);
}

}  // namespace
}  // namespace sluice::flow
