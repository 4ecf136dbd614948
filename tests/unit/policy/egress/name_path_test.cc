#include "policy/egress/name_path.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::policy {
namespace {

std::string text(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

TEST(NamePath, IsInLowerCaseAndCutIntoLabels) {
  const NamePath path(wire::DomainName::from_text("WWW.Example.com").value());
  ASSERT_EQ(path.labels(), 3u);
  EXPECT_EQ(text(path.label(0)), "www");
  EXPECT_EQ(text(path.label(2)), "com");
  EXPECT_EQ(text(path.suffix(1)), std::string("\7example\3com\0", 13));
  EXPECT_EQ(path.suffix(3).size(), 1u);
}

TEST(NamePath, TheLongestNameHasAllItsLabels) {
  std::string longest;
  for (std::size_t i = 0; i < NamePath::kLabelsMax; ++i) longest += "a.";
  const NamePath path(wire::DomainName::from_text(longest).value());
  EXPECT_EQ(path.labels(), NamePath::kLabelsMax);
  EXPECT_EQ(path.suffix(0).size(), wire::kDomainNameSizeMax);
}

TEST(NamePath, TheRootHasNoLabels) {
  const NamePath path{wire::DomainName{}};
  EXPECT_EQ(path.labels(), 0u);
  EXPECT_EQ(path.suffix(0).size(), 1u);
}

}  // namespace
}  // namespace sluice::policy
