#include "web/run_link.h"

#include "unit/web/fake_run.h"

namespace sluice::web {
namespace {

TEST(RunLink, LinesComeWhole) {
  FakeRun run;
  auto link = RunLink::open(run.name);
  ASSERT_TRUE(link.has_value()) << link.error();
  run.accept();
  EXPECT_TRUE(link->send("ask\n"));
  EXPECT_EQ(run.hear(), "ask\n");
  run.say("one\ntwo");
  ASSERT_TRUE(link->read());
  std::string_view line;
  ASSERT_TRUE(link->take_line(line));
  EXPECT_EQ(line, "one");
  EXPECT_FALSE(link->take_line(line));
  run.say("!\nthree\n");
  ASSERT_TRUE(link->read());
  ASSERT_TRUE(link->take_line(line));
  EXPECT_EQ(line, "two!");
  ASSERT_TRUE(link->take_line(line));
  EXPECT_EQ(line, "three");
  EXPECT_FALSE(link->take_line(line));
  run.hang_up();
  EXPECT_FALSE(link->read());
}

TEST(RunLink, NothingToReadIsNoEnd) {
  FakeRun run;
  auto link = RunLink::open(run.name);
  ASSERT_TRUE(link.has_value());
  EXPECT_TRUE(link->read());
}

TEST(RunLink, WhoDoesNotReadIsGivenUp) {
  FakeRun run;
  auto link = RunLink::open(run.name);
  ASSERT_TRUE(link.has_value());
  const std::string line(100'000, 'x');
  int sent = 0;
  while (sent < 100 && link->send(line)) ++sent;
  EXPECT_LT(sent, 100);
}

TEST(RunLink, ALineWithoutAnEndIsNone) {
  FakeRun run;
  auto link = RunLink::open(run.name);
  ASSERT_TRUE(link.has_value());
  run.accept();
  const std::string piece(50'000, 'x');
  bool lives = true;
  for (int i = 0; i < 20 && lives; ++i) {
    run.say(piece);
    lives = link->read();
  }
  EXPECT_FALSE(lives);
}

TEST(RunLink, NobodyThereIsAnError) { EXPECT_FALSE(RunLink::open("nosuchrun").has_value()); }

}  // namespace
}  // namespace sluice::web
