#include "app/observe/event_source.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "telemetry/events/seen_event.h"

namespace sluice::app {
namespace {

class EventSourceTest : public testing::Test {
 protected:
  EventSourceTest() { ::close(::mkstemp(path_.data())); }
  ~EventSourceTest() override { ::unlink(path_.c_str()); }
  EventSourceTest(const EventSourceTest&) = delete;
  EventSourceTest& operator=(const EventSourceTest&) = delete;

  void append(const std::string& text) const { std::ofstream(path_, std::ios::app) << text; }
  std::vector<std::string> all() const {
    std::vector<std::string> lines;
    auto source = EventSource::open(path_, false).value();
    EXPECT_TRUE(source.read_all([&](std::string_view line) { lines.emplace_back(line); },
                                [] { return true; }));
    return lines;
  }

  std::string path_ = "/tmp/sluice-source-XXXXXX";
};

TEST_F(EventSourceTest, GivesLinesAndTheLastOneWithoutItsNewline) {
  EXPECT_TRUE(all().empty());
  append("a\n\nb\nc");
  EXPECT_EQ(all(), (std::vector<std::string>{"a", "", "b", "c"}));
}

TEST_F(EventSourceTest, LinesOverPiecesAreWholeAndLongOnesAreBounded) {
  const std::string first(60'000, 'x');
  const std::string second(70'000, 'y');
  append(first + "\n" + second + "\nend\n");
  const auto lines = all();
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], first);
  EXPECT_GT(lines[1].size(), telemetry::kEventLineMax);
  EXPECT_EQ(lines[2], "end");
  std::string huge(40'000'000, 'z');
  append(huge);
  EXPECT_LT(all().at(3).size(), 200'000U);
}

TEST_F(EventSourceTest, WhatIsAppendedIsFollowedAndAnEmptiedFileReadAnew) {
  append("one\n");
  std::vector<std::string> lines;
  auto source = EventSource::open(path_, true).value();
  int rounds = 0;
  const auto idle = [&] {
    ++rounds;
    if (rounds == 1) append("tw");
    if (rounds == 2) append("o\nthree\n");
    if (rounds == 4) {
      EXPECT_EQ(::truncate(path_.c_str(), 0), 0);
      append("4\n");
    }
    return lines.size() < 4;
  };
  ASSERT_TRUE(source.read_all([&](std::string_view line) { lines.emplace_back(line); }, idle));
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two", "three", "4"}));
}

TEST_F(EventSourceTest, WhatCannotBeOpenedOrReadIsAnError) {
  EXPECT_EQ(EventSource::open("/nowhere/file", false).error().error, ENOENT);
  auto folder = EventSource::open("/tmp", false).value();
  const auto read = folder.read_all([](std::string_view) {}, [] { return true; });
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().error, EISDIR);
}

}  // namespace
}  // namespace sluice::app
