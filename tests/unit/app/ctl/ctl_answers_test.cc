#include "app/ctl/ctl_answers.h"

#include <gtest/gtest.h>

namespace sluice::app {
namespace {

using control::Verb;
using Words = std::vector<std::string>;

TEST(CtlAnswers, AnswersSayHowFarTheyGo) {
  const auto plain = read_answer(Verb::kApprove, {"3"});
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->question, 3u);
  EXPECT_EQ(plain->scope + plain->of, "");
  const auto wide = read_answer(Verb::kRefuse, {"3", "domain", "always"});
  ASSERT_TRUE(wide);
  EXPECT_EQ(wide->scope, "always");
  EXPECT_EQ(wide->of, "domain");
}

TEST(CtlAnswers, MistakesAreNamed) {
  EXPECT_EQ(read_answer(Verb::kApprove, {}).error(), "approve: ID is missing");
  EXPECT_EQ(read_answer(Verb::kRefuse, {"x\x1b"}).error(),
            "refuse: 'x?' is no question's number; 'pending' has them");
  EXPECT_FALSE(read_answer(Verb::kApprove, {"3", "forever"}));
  EXPECT_FALSE(read_answer(Verb::kApprove, {"3", "run", "once"}));
}

// CONTROL, attack 52.
TEST(CtlAnswers, WhoseANameIsStandsFirstAndIsNotPushedOutOfSight) {
  const std::string line =
      R"({"question":7,"name":"github.com.evil.test","domain":"evil.test","address":"198.18.0.1",)"
      R"("port":443,"proto":"tcp","count":2,"left_s":41.2,"rule":"default"})";
  const Words row = question_row(line);
  EXPECT_EQ(row,
            (Words{"evil.test", "7", "github.com.evil.test:443/tcp", "2", "41.2 s", "default"}));
  EXPECT_EQ(question_text(row, true),
            "\x1b[1mevil.test\x1b[0m  question 7: github.com.evil.test:443/tcp  (rule default)\n");
  const std::string label(63, 'a');
  const Words longest =
      question_row(R"({"question":1,"name":"github.com.)" + label + "." + label +
                   R"(.evil.test","domain":"evil.test","port":443,"proto":"tcp"})");
  EXPECT_TRUE(longest[2].starts_with("..."));
  EXPECT_TRUE(longest[2].ends_with(".evil.test:443/tcp"));
  EXPECT_LT(longest[2].size(), 80u);
  // A mark that turns the direction of writing, and a terminal's escape.
  const Words odd = question_row("{\"question\":1,\"name\":\"\xe2\x80\xae\\u001b[2J.test\"}");
  for (const std::string& cell : odd) {
    for (const char c : cell) EXPECT_TRUE(c >= ' ' && c <= '~') << cell;
  }
}

TEST(CtlAnswers, AnAddressHasNoDomainAndAnUnansweredQuestionNoTime) {
  const Words row =
      question_row(R"({"question":1,"name":null,"domain":null,"address":"2001:db8::1",)"
                   R"("port":53,"proto":"udp"})");
  EXPECT_EQ(row[0], "-");
  EXPECT_EQ(row[2], "[2001:db8::1]:53/udp");
  EXPECT_EQ(row[4], "unanswered");
  EXPECT_TRUE(question_row(R"({"ok":true})").empty());
  EXPECT_TRUE(question_row("nonsense").empty());
}

}  // namespace
}  // namespace sluice::app
