#include "app/top/top_view.h"

#include <gtest/gtest.h>

#include <sstream>

namespace sluice::app {
namespace {

std::vector<TopGroup> groups_of(std::size_t count) {
  std::vector<TopGroup> groups;
  for (std::size_t i = 0; i < count; ++i) {
    TopGroup group;
    group.title = "d" + std::to_string(i) + ".example.org";
    group.flows.push_back({.number = std::to_string(i),
                           .proto = "tcp",
                           .name = "www." + group.title,
                           .address = "192.0.2.7",
                           .port = 443,
                           .to_host = 1000,
                           .to_guest = 5'000'000,
                           .seconds = 75,
                           .rtt = 0.0123,
                           .process = "curl/42"});
    group.path = "tap";
    group.to_guest = 5'000'000;
    group.to_host = 1000;
    group.to_guest_rate = 2048;
    group.seconds = 75;
    group.rtt = 0.00456;
    groups.push_back(group);
  }
  return groups;
}

const TopHead kHead{.run = "k3f9wa",
                    .program = "sluice run",
                    .uptime_s = 3700,
                    .generation = 2,
                    .fallback = "deny",
                    .rules = 7};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string plain_screen(const std::vector<TopGroup>& groups, const TopState& state,
                         const TopSize& size) {
  return top_screen(kHead, groups, state, size);
}

TEST(TopView, AWideScreenHasEverything) {
  const std::string text = plain_screen(groups_of(1), {}, {.columns = 140, .lines = 24});
  const auto lines = lines_of(text);
  EXPECT_TRUE(lines[0].starts_with("sluice run k3f9wa  up 1h01m  1 flow  in 2.0 KiB/s  out 0 B/s"))
      << lines[0];
  EXPECT_NE(lines[0].find("default deny  7 rules  generation 2"), std::string::npos);
  for (const char* title : {"NAME", "FLOWS", "IN/s", "OUT/s", "PATH", "RTT", "AGE", "PROCESS"}) {
    EXPECT_NE(lines[1].find(title), std::string::npos) << title;
  }
  for (const char* cell : {"d0.example.org", "1m15s", "curl/42", "tap", "4.56 ms"}) {
    EXPECT_NE(lines[2].find(cell), std::string::npos) << lines[2];
  }
  EXPECT_TRUE(lines.back().starts_with("q quit"));
}

TEST(TopView, NothingIsWiderOrHigherThanTheScreen) {
  for (const std::size_t columns : std::vector<std::size_t>{1, 10, 20, 34, 46, 60, 80, 200}) {
    for (const std::size_t height : std::vector<std::size_t>{3, 4, 10, 24}) {
      TopState state;
      state.selected = 30;
      state.open = {"d3.example.org"};
      const auto lines =
          lines_of(plain_screen(groups_of(40), state, {.columns = columns, .lines = height}));
      EXPECT_LE(lines.size(), height) << columns;
      for (const std::string& line : lines) EXPECT_LE(line.size(), columns) << line;
    }
  }
}

TEST(TopView, ANarrowScreenSaysThatItIsPausedAndFiltered) {
  TopState state;
  state.paused = true;
  state.filter = "example";
  const auto lines = lines_of(plain_screen(groups_of(2), state, {.columns = 60, .lines = 24}));
  EXPECT_TRUE(lines[0].starts_with("sluice run k3f9wa  PAUSED  filter: example  up 1h01m"))
      << lines[0];
}

TEST(TopView, TheChosenRowIsSeenAndMarked) {
  TopState state;
  state.selected = 30;
  const std::string text = plain_screen(groups_of(40), state, {.columns = 80, .lines = 10});
  EXPECT_NE(text.find("> d30.example.org"), std::string::npos) << text;
  const std::string painted = top_screen(kHead, groups_of(2), {}, {.color = telemetry::Color::kOn});
  EXPECT_NE(painted.find("\x1b[7m"), std::string::npos);
}

TEST(TopView, AnOpenGroupShowsItsFlows) {
  TopState state;
  state.open = {"d1.example.org"};
  const auto groups = groups_of(3);
  EXPECT_EQ(top_rows(groups, state).size(), 4u);
  const std::string text = plain_screen(groups, state, {.columns = 100, .lines = 24});
  EXPECT_NE(text.find("    www.d1.example.org:443/tcp"), std::string::npos) << text;
}

TEST(TopView, AsTextThereAreNoMarksAndNoKeys) {
  const std::string text = plain_screen(groups_of(2), {}, {.columns = 80, .lines = 0});
  EXPECT_EQ(lines_of(text).size(), 4u);
  EXPECT_EQ(text.find("q quit"), std::string::npos);
  EXPECT_NE(text.find("\nd0.example.org"), std::string::npos) << text;
}

}  // namespace
}  // namespace sluice::app
