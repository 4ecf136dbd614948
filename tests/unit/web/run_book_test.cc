// Runs that are asked, and that tell, in one thread.
#include "web/run_book.h"

#include <vector>

#include "unit/web/fake_run.h"

namespace sluice::web {
namespace {

using namespace std::chrono_literals;

class Ear final : public EventListener {
 public:
  void on_begin() override { begun = true; }
  void on_line(std::string_view line) override { lines.emplace_back(line); }
  void on_end() override { ended = true; }
  std::vector<std::string> lines;
  bool begun = false;
  bool ended = false;
};

class RunBookTest : public testing::Test {
 protected:
  void ask(const std::string& line) {
    book.ask(run.name, line, now,
             [this](RunAnswer answer) { answers.push_back(std::move(answer)); });
  }
  void turn() {
    std::array<epoll_event, 8> events{};
    const auto count = loop.wait(events, now, now);
    for (std::size_t i = 0; i < count.value_or(0); ++i) {
      book.on_event(events[i].data.u64, events[i].events, now);
    }
  }

  sys::EventLoop loop = std::move(*sys::EventLoop::create(sys::real_kernel()));
  FakeRun run;
  RunBook book{loop, 100};
  Instant now{1000s};
  std::vector<RunAnswer> answers;
};

TEST_F(RunBookTest, AnswersComeInTheOrderOfTheRequests) {
  ask("{\"do\":\"flows\"}\n");
  ask("{\"do\":\"status\"}\n");
  run.accept();
  EXPECT_EQ(run.hear(), "{\"do\":\"flows\"}\n{\"do\":\"status\"}\n");
  run.say("{\"more\":true,\"a\":1}\n{\"more\":true,\"a\":2}\n{\"ok\":true}\n{\"ok\":false}\n");
  turn();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_TRUE(answers[0].reached);
  EXPECT_EQ(answers[0].text,
            R"({"items":[{"more":true,"a":1},{"more":true,"a":2}],"answer":{"ok":true}})");
  EXPECT_EQ(answers[1].text, R"({"items":[],"answer":{"ok":false}})");
}

TEST_F(RunBookTest, ARunThatSpeaksAnotherLanguageIsLeft) {
  ask("x\n");
  run.accept();
  run.say("HTTP/1.1 200 OK\n");
  turn();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_FALSE(answers[0].reached);
}

TEST_F(RunBookTest, ARunThatEndsOwesNothing) {
  ask("x\n");
  run.accept();
  run.hang_up();
  turn();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_FALSE(answers[0].reached);
  book.ask("nosuchrun", "x\n", now, [this](RunAnswer answer) { answers.push_back(answer); });
  EXPECT_EQ(answers.size(), 2u);
}

TEST_F(RunBookTest, NobodyWaitsForARun) {
  ask("x\n");
  EXPECT_EQ(book.next_wakeup(), now + RunBook::kPatience);
  now += RunBook::kPatience;
  book.on_time(now);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_FALSE(answers[0].reached);
  EXPECT_EQ(book.next_wakeup(), kNever);
}

TEST_F(RunBookTest, APlaceThatNobodyNeedsIsGivenBack) {
  ask("x\n");
  run.accept();
  run.say("{\"ok\":true}\n");
  turn();
  EXPECT_EQ(book.next_wakeup(), now + RunBook::kIdle);
  now += RunBook::kIdle;
  book.on_time(now);
  EXPECT_EQ(book.next_wakeup(), kNever);
}

TEST_F(RunBookTest, TooManyRequestsAreNotKept) {
  for (std::size_t i = 0; i <= RunBook::kWaitingMax; ++i) ask("x\n");
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_FALSE(answers[0].reached);
}

TEST_F(RunBookTest, WhoListensHearsTillTheEnd) {
  Ear one;
  Ear other;
  ASSERT_TRUE(book.listen(run.name, one));
  ASSERT_TRUE(book.listen(run.name, other));
  run.accept();
  EXPECT_EQ(run.hear(), "{\"do\":\"subscribe\",\"answers\":true}\n");
  run.say("{\"ok\":true}\n{\"seq\":1}\n");
  turn();
  EXPECT_TRUE(one.begun && other.begun);
  book.leave(run.name, other);
  run.say("{\"seq\":2}\n");
  turn();
  EXPECT_EQ(one.lines, (std::vector<std::string>{"{\"seq\":1}", "{\"seq\":2}"}));
  EXPECT_EQ(other.lines.size(), 1u);
  run.hang_up();
  turn();
  EXPECT_TRUE(one.ended);
  EXPECT_FALSE(other.ended);
}

TEST_F(RunBookTest, ARunThatAsksNobodyIsListenedTo) {
  Ear ear;
  ASSERT_TRUE(book.listen(run.name, ear));
  run.accept();
  (void)run.hear();
  run.say("{\"ok\":false,\"error\":\"bad-request\"}\n");
  turn();
  EXPECT_EQ(run.hear(), "{\"do\":\"subscribe\"}\n");
  run.say("{\"ok\":true}\n{\"seq\":7}\n");
  turn();
  EXPECT_EQ(ear.lines, std::vector<std::string>{"{\"seq\":7}"});
  book.leave(run.name, ear);
}

TEST_F(RunBookTest, WhoWasTheLastToListenLeavesNoPlaceBehind) {
  Ear ear;
  ASSERT_TRUE(book.listen(run.name, ear));
  run.accept();
  book.leave(run.name, ear);
  (void)run.hear();
  EXPECT_FALSE(ear.ended);
  EXPECT_FALSE(book.listen("nosuchrun", ear));
}

}  // namespace
}  // namespace sluice::web
