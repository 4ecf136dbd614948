#include "config/egress/name_facts.h"

#include <gtest/gtest.h>

namespace sluice::config {
namespace {

TEST(NameFacts, OtherAlphabetsHaveALabels) {
  EXPECT_EQ(to_a_labels("bücher.example"), "xn--bcher-kva.example");
  EXPECT_FALSE(to_a_labels("\xff\xfe").has_value());
}

TEST(NameFacts, KnowsWhereAnybodyMayHaveAName) {
  EXPECT_EQ(registrations_below("com"), Registrations::kPublic);
  EXPECT_EQ(registrations_below("co.uk"), Registrations::kPublic);
  EXPECT_EQ(registrations_below("github.io"), Registrations::kShared);
  EXPECT_EQ(registrations_below("storage.googleapis.com"), Registrations::kShared);
  EXPECT_EQ(registrations_below("example.com"), Registrations::kNone);
  EXPECT_EQ(registrations_below("corp"), Registrations::kNone);
}

}  // namespace
}  // namespace sluice::config
