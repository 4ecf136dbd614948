// The program of --ask-exec: what it gets, and what it answers, nonsense included.
#include "serve/ask/ask_exec.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>

namespace sluice::serve {
namespace {

class AskExecTest : public testing::Test {
 protected:
  AskExecTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    program_ = AskExec(UniqueFd(ends[0]));
    theirs_ = UniqueFd(ends[1]);
  }
  void say(std::string_view text) {
    ASSERT_EQ(::send(theirs_.get(), text.data(), text.size(), 0),
              static_cast<ssize_t>(text.size()));
  }
  std::string heard() {
    std::string text(1 << 16, '\0');
    const ssize_t got = ::recv(theirs_.get(), text.data(), text.size(), MSG_DONTWAIT);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
  }

  AskExec program_;
  UniqueFd theirs_;
};

TEST_F(AskExecTest, ItGetsLinesAndItsAnswersAreRequests) {
  program_.tell("{\"question\":1}\n");
  EXPECT_EQ(heard(), "{\"question\":1}\n");
  EXPECT_FALSE(program_.next());
  say("{\"do\":\"approve\",\"question\":1,\"sco");
  EXPECT_FALSE(program_.next());
  say("pe\":\"run\"}\n\n{\"do\":\"refuse\",\"question\":2}\n");
  const auto first = program_.next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->verb, control::Verb::kApprove);
  EXPECT_EQ(first->question, 1u);
  EXPECT_EQ(first->scope, "run");
  EXPECT_EQ(program_.next()->verb, control::Verb::kRefuse);
  EXPECT_FALSE(program_.next());
  EXPECT_TRUE(program_.is_there());
}

TEST_F(AskExecTest, WhatIsNoAnswerCountsForNothingAndTooMuchOfItEndsTheProgram) {
  say("yes\n{\"do\":\"kill\",\"flow\":\"00c0ffee00c0ffee\"}\n{\"do\":\"refuse\",\"question\":2}\n");
  EXPECT_TRUE(program_.next());
  for (unsigned i = 0; i < AskExec::kBadLinesMax; ++i) say("no\n");
  say("{\"do\":\"approve\",\"question\":2}\n");
  EXPECT_FALSE(program_.next());
  EXPECT_FALSE(program_.is_there());
}

TEST_F(AskExecTest, ALineWithoutEndEndsTheProgram) {
  for (int i = 0; i < 20 && program_.is_there(); ++i) {
    say(std::string(4096, 'x'));
    EXPECT_FALSE(program_.next());
  }
  EXPECT_FALSE(program_.is_there());
}

TEST_F(AskExecTest, ItsEndIsSeenAndWhatItSaidBeforeCounts) {
  say("{\"do\":\"approve\",\"question\":1}\n");
  theirs_.reset();
  EXPECT_TRUE(program_.next());
  EXPECT_FALSE(program_.next());
  EXPECT_FALSE(program_.is_there());
  EXPECT_LT(program_.fd(), 0);
  program_.tell("nobody hears this\n");
}

TEST_F(AskExecTest, WhoDoesNotReadIsGivenUpAtTheBound) {
  const std::string line(4096, 'x');
  for (int i = 0; i < 1000 && program_.is_there(); ++i) program_.tell(line);
  EXPECT_FALSE(program_.is_there());
}

TEST(AskExecStart, AShellsCommandAnswers) {
  auto program = AskExec::start(
      "read -r question; echo '{\"do\":\"approve\",\"question\":7}'; read -r more", {});
  ASSERT_TRUE(program);
  program->tell("{\"question\":7}\n");
  std::optional<control::Request> answer;
  for (int i = 0; i < 1000 && !answer; ++i) {
    answer = program->next();
    ::usleep(10'000);
  }
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->question, 7u);
}

}  // namespace
}  // namespace sluice::serve
