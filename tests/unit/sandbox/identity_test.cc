#include "sandbox/identity.h"

#include <gtest/gtest.h>

namespace sluice::sandbox {
namespace {

TEST(Identity, FindsUsersAndGroupsByNameAndNumber) {
  const auto root = find_identity("root");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->uid, 0U);
  const auto numbers = find_identity("1234:567");
  ASSERT_TRUE(numbers);
  EXPECT_EQ(numbers->uid, 1234U);
  EXPECT_EQ(numbers->gid, 567U);
  EXPECT_EQ(find_identity("1234")->gid, 1234U);
  for (const char* wrong : {"no such user", "root:no such group", "4294967295", "-1", ""}) {
    EXPECT_FALSE(find_identity(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace sluice::sandbox
