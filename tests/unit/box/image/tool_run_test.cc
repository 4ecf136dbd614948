#include "box/image/tool_run.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace sluice::box {
namespace {

TEST(ToolRun, SaysWhatTheProgramSaid) {
  std::vector<std::string> lines;
  const auto said =
      run_tool({.words = {"sh", "-c", "pwd; echo two >&2; printf rest"},
                .directory = "/usr",
                .on_line = [&lines](std::string_view line) { lines.emplace_back(line); }});
  ASSERT_TRUE(said.has_value()) << said.error().describe();
  EXPECT_EQ(*said, "/usr\ntwo\nrest");
  EXPECT_EQ(lines, (std::vector<std::string>{"/usr", "two"}));
}

TEST(ToolRun, AFailureIsToldByItsLastLine) {
  const auto said = run_tool({.words = {"sh", "-c", "echo first; echo because; exit 3"}});
  ASSERT_FALSE(said.has_value());
  EXPECT_EQ(said.error().step, "sh failed: because");
  EXPECT_EQ(run_tool({.words = {"no-such-program-of-sluice"}}).error().error, ENOENT);
}

}  // namespace
}  // namespace sluice::box
