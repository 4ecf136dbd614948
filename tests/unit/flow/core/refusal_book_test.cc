#include "flow/core/refusal_book.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::flow {
namespace {

TEST(RefusalBook, TheOldestGivesWay) {
  RefusalBookOf<dns::NoLock> book;
  for (int i = 0; i < 300; ++i) {
    (void)book.note({.what = std::to_string(i), .verdict = policy::Verdict::kNameDenied}, 1);
  }
  EXPECT_FALSE(book.find(1));
  ASSERT_TRUE(book.find(300));
  EXPECT_EQ(book.note({.what = "299", .verdict = policy::Verdict::kNameDenied}, 4), 300u);
  EXPECT_EQ(book.find(300)->count, 5u);
  EXPECT_EQ(book.newest(2).size(), 2u);
  EXPECT_EQ(book.newest(2)[0].what, "299");
  EXPECT_EQ(book.newest(1000).size(), RefusalBookOf<dns::NoLock>::kMax);
}

}  // namespace
}  // namespace sluice::flow
