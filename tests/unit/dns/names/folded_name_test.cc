#include "dns/names/folded_name.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sluice::dns {
namespace {

TEST(FoldedName, OnlyLettersOfAsciiAreFolded) {
  const auto name = wire::DomainName::from_text("Ok-Z[.TEST").value();
  const auto same = wire::DomainName::from_text("oK-z[.test").value();
  const auto other = wire::DomainName::from_text("ok-z{.test").value();
  const FoldedName folded(name);
  EXPECT_TRUE(std::ranges::equal(folded.bytes(), FoldedName(same).bytes()));
  EXPECT_FALSE(std::ranges::equal(folded.bytes(), FoldedName(other).bytes()));
  EXPECT_EQ(folded.size(), name.wire().size());
  EXPECT_EQ(folded.bytes().back(), 0);
}

}  // namespace
}  // namespace sluice::dns
