// Questions to people: who joins which, how many there may be, and what becomes of those that
// nobody answers.
#include "policy/ask/question_table.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::policy {
namespace {

using namespace std::chrono_literals;

class QuestionTableTest : public testing::Test {
 protected:
  static Subject subject(std::string_view name, std::uint16_t port = 443) {
    return {.name = wire::DomainName::from_text(name),
            .address = wire::IpAddress::v4(0xc612'0001),
            .port = {port}};
  }
  // Of the last two labels.
  static std::string domain_of(std::string_view name) {
    const std::size_t last = name.rfind('.');
    if (last == std::string_view::npos) return {};
    const std::size_t before = name.substr(0, last).rfind('.');
    return std::string(before == std::string_view::npos ? name : name.substr(before + 1));
  }
  QuestionTable::Asked ask(std::string_view name, bool attended = true, std::uint16_t port = 443) {
    return table_.ask({.subject = subject(name, port),
                       .waiter = Waiter{0, Protocol::kTcp, ++flow_},
                       .domain = domain_of(name),
                       .rule = "default",
                       .attended = attended},
                      now_);
  }
  Waiter last() const { return {0, Protocol::kTcp, flow_}; }

  Instant now_{1000s};
  std::uint64_t flow_ = 0;
  QuestionTable table_{AskSettings{.timeout = 60s, .pending = 8}};
};

TEST_F(QuestionTableTest, FlowsToTheSameNameAndPortJoinOneQuestion) {
  const auto first = ask("a.example");
  ASSERT_NE(first.begun, nullptr);
  EXPECT_FALSE(first.verdict);
  const std::uint64_t id = first.begun->id;
  const auto second = ask("A.Example");
  EXPECT_EQ(second.begun, nullptr);
  EXPECT_FALSE(second.verdict);
  EXPECT_NE(ask("a.example", true, 80).begun, nullptr);
  EXPECT_EQ(table_.waiting(), 2u);
  const auto question = table_.take(id);
  ASSERT_TRUE(question);
  EXPECT_EQ(question->count, 2u);
  EXPECT_EQ(question->waiters.size(), 2u);
  EXPECT_FALSE(table_.take(id));
}

TEST_F(QuestionTableTest, WithoutANameTheAddressIsAskedAbout) {
  QuestionTable::Asking asking{.subject = {.address = wire::IpAddress::v4(1), .port = {22}},
                               .waiter = Waiter{0, Protocol::kTcp, 1},
                               .attended = true};
  EXPECT_NE(table_.ask(asking, now_).begun, nullptr);
  EXPECT_EQ(table_.ask(asking, now_).begun, nullptr);
  asking.subject.address = wire::IpAddress::v4(2);
  EXPECT_NE(table_.ask(asking, now_).begun, nullptr);
  EXPECT_FALSE(target_of(*table_.by_domain().front(), AnswerBreadth::kDomain));
  EXPECT_EQ(to_string(*target_of(*table_.by_domain().front(), AnswerBreadth::kNamePort)),
            "0.0.0.1:22/tcp");
}

TEST_F(QuestionTableTest, NobodyThereIsSaidAtOnceAndTheQuestionStays) {
  EXPECT_EQ(ask("a.example", false).verdict, Verdict::kAskNobody);
  EXPECT_EQ(table_.waiting(), 0u);
  EXPECT_EQ(table_.unanswered(), 1u);
  EXPECT_EQ(table_.next_wakeup(), kNever);
  // Somebody has come: it waits from here on.
  const auto again = ask("a.example");
  ASSERT_NE(again.begun, nullptr);
  EXPECT_EQ(again.begun->count, 2u);
  EXPECT_EQ(table_.next_wakeup(), now_ + 60s);
}

TEST_F(QuestionTableTest, AfterItsTimeAQuestionStaysWithoutItsFlowsAndIsAskedAgain) {
  (void)ask("a.example");
  now_ += 59s;
  EXPECT_TRUE(table_.lapse(now_).empty());
  now_ += 1s;
  const auto over = table_.lapse(now_);
  ASSERT_EQ(over.size(), 1u);
  EXPECT_EQ(over[0].waiters.size(), 1u);
  EXPECT_EQ(table_.unanswered(), 1u);
  EXPECT_TRUE(table_.find(over[0].id)->waiters.empty());
  const auto again = ask("a.example");
  ASSERT_NE(again.begun, nullptr);
  EXPECT_EQ(again.begun->id, over[0].id);
}

TEST_F(QuestionTableTest, AFlowThatIsGoneWaitsNoMoreButItsQuestionDoes) {
  (void)ask("a.example");
  table_.withdraw(last());
  EXPECT_EQ(table_.waiting(), 1u);
  EXPECT_TRUE(table_.by_domain().front()->waiters.empty());
}

// CONTROL, attack 51.
TEST_F(QuestionTableTest, AFloodOfNamesFillsHalfOfThePlacesAndTheRestIsRefused) {
  std::size_t waits = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto asked = ask("n" + std::to_string(i) + ".evil.test");
    if (asked.verdict) {
      EXPECT_EQ(*asked.verdict, Verdict::kAskQueueFull);
    } else {
      ++waits;
    }
  }
  EXPECT_EQ(waits, 4u);
  EXPECT_FALSE(ask("a.example").verdict);
  for (int i = 0; i < 1000; ++i) (void)ask("n.evil" + std::to_string(i) + ".test");
  EXPECT_EQ(table_.waiting(), 8u);
  EXPECT_EQ(table_.unanswered(), 0u);
  // Who joins needs no place.
  EXPECT_FALSE(ask("a.example").verdict);
}

TEST_F(QuestionTableTest, OfWhatNobodyAnsweredTheDomainWithTheMostGivesWay) {
  (void)ask("a.example", false);
  for (int i = 0; i < 1000; ++i) {
    now_ += 1ms;
    (void)ask("n" + std::to_string(i) + ".evil.test", false);
  }
  EXPECT_EQ(table_.unanswered(), 8u);
  EXPECT_EQ(*table_.by_domain().front()->subject.name, *wire::DomainName::from_text("a.example"));
}

TEST_F(QuestionTableTest, QuestionsStandByDomain) {
  for (const auto* name : {"b.one.test", "two.test", "a.one.test"}) (void)ask(name);
  std::string order;
  for (const Question* question : table_.by_domain()) {
    order += question->subject.name->to_text() + " ";
  }
  EXPECT_EQ(order, "b.one.test a.one.test two.test ");
}

TEST_F(QuestionTableTest, ALateAnswerIsForTheNextTryAndNoOther) {
  table_.leave_answer(subject("a.example"), Verdict::kAccepted, now_);
  EXPECT_FALSE(ask("a.example", true, 80).verdict);
  EXPECT_EQ(ask("a.example").verdict, Verdict::kAccepted);
  EXPECT_FALSE(ask("a.example").verdict);
  table_.leave_answer(subject("b.example"), Verdict::kAskRefused, now_);
  now_ += QuestionTable::kPassFor;
  EXPECT_FALSE(ask("b.example").verdict);
}

TEST_F(QuestionTableTest, WhenNobodyIsLeftAllGoOn) {
  (void)ask("a.example");
  (void)ask("b.example");
  EXPECT_EQ(table_.lapse_all().size(), 2u);
  EXPECT_EQ(table_.waiting(), 0u);
  EXPECT_EQ(table_.unanswered(), 2u);
}

}  // namespace
}  // namespace sluice::policy
