#include "flow/engine/name_lookups.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace sluice::flow {
namespace {

using namespace std::chrono_literals;

constexpr Instant kNow{1000s};

wire::DomainName name(std::string_view text) { return wire::DomainName::from_text(text).value(); }
dns::NameId id(std::uint32_t index) { return {{.index = index, .generation = 0xffff'ffff}}; }
DnsJudge::Leads leads(std::string_view address) {
  return {.addresses = {wire::parse_ip(address).value()}};
}

class NameLookupsTest : public testing::Test {
 protected:
  NameLookups::Begun begin(std::uint32_t index = 0) {
    return lookups.begin(id(index), name(fmt::format("n{}.test", index)), &wanted, questions);
  }
  NameLookups lookups;
  FindTarget wanted;
  std::array<NameLookups::Question, 2> questions;
};

TEST_F(NameLookupsTest, BothFamiliesAreAskedForOnce) {
  EXPECT_EQ(begin(), NameLookups::Begun::kFresh);
  const auto first = questions;
  for (const auto& [question, type] :
       {std::pair{first[0], wire::DnsType::kA}, std::pair{first[1], wire::DnsType::kAaaa}}) {
    const auto view = wire::DnsView::parse(question.message).value();
    EXPECT_EQ(view.question()->name, name("n0.test"));
    EXPECT_EQ(view.question()->type, type);
    EXPECT_TRUE(view.header().recursion_desired);
    EXPECT_TRUE(question.client.is_ours());
  }
  EXPECT_EQ(begin(), NameLookups::Begun::kJoined);
  lookups.on_answer(first[0].client, leads("203.0.113.1"), kNow);
  EXPECT_TRUE(lookups.found().empty()) << "the other family is given a moment";
  lookups.on_answer(first[1].client, {}, kNow);
  ASSERT_EQ(lookups.found().size(), 1u);
  EXPECT_EQ(lookups.found()[0].waiting.size(), 2u);
  EXPECT_EQ(lookups.found()[0].v4.size(), 1u);
  EXPECT_EQ(lookups.size(), 0u);
  lookups.on_answer(first[1].client, leads("2001:db8::1"), kNow);
  EXPECT_EQ(lookups.found().size(), 1u) << "it is over";
}

TEST_F(NameLookupsTest, AFamilyThatIsSlowIsNotWaitedForLong) {
  (void)begin();
  lookups.on_answer(questions[1].client, leads("2001:db8::1"), kNow);
  EXPECT_EQ(lookups.next_deadline(), kNow + NameLookups::kOtherFamily);
  lookups.on_timer(kNow + 10ms);
  EXPECT_TRUE(lookups.found().empty());
  lookups.on_timer(kNow + 50ms);
  ASSERT_EQ(lookups.found().size(), 1u);
  EXPECT_EQ(lookups.found()[0].v6.size(), 1u);
  EXPECT_EQ(lookups.next_deadline(), kNever);
}

TEST_F(NameLookupsTest, OneThatSaysNothingIsWaitedFor) {
  (void)begin();
  lookups.on_answer(questions[1].client, {}, kNow);
  EXPECT_EQ(lookups.next_deadline(), kNever);
  lookups.on_answer(questions[0].client, leads("2001:db8::1"), kNow);
  ASSERT_EQ(lookups.found().size(), 1u);
  EXPECT_TRUE(lookups.found()[0].v4.empty()) << "of the wrong family";
}

TEST_F(NameLookupsTest, TheyAreBounded) {
  for (std::uint32_t i = 0; i < NameLookups::kLookupsMax; ++i) {
    EXPECT_EQ(begin(i), NameLookups::Begun::kFresh);
  }
  EXPECT_EQ(begin(NameLookups::kLookupsMax), NameLookups::Begun::kFull);
  for (std::size_t i = NameLookups::kLookupsMax; i < NameLookups::kWaitingMax; ++i) {
    EXPECT_EQ(begin(), NameLookups::Begun::kJoined);
  }
  EXPECT_EQ(begin(), NameLookups::Begun::kFull);
}

}  // namespace
}  // namespace sluice::flow
