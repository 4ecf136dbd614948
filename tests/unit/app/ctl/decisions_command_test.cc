#include "app/ctl/decisions_command.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "config/egress/decision_file.h"

namespace sluice::app {
namespace {

class DecisionsCommand : public testing::Test {
 protected:
  DecisionsCommand() {
    std::string made = std::filesystem::temp_directory_path() / "sluice-decisions-XXXXXX";
    folder_ = ::mkdtemp(made.data());
    ::setenv("XDG_CONFIG_HOME", folder_.c_str(), 1);
  }
  ~DecisionsCommand() override {
    ::unsetenv("XDG_CONFIG_HOME");
    std::filesystem::remove_all(folder_);
  }
  // The exit status, and what was printed.
  std::pair<int, std::string> run(std::vector<const char*> words) {
    testing::internal::CaptureStdout();
    const auto status = start_decisions(words);
    return {status ? *status : status.error().exit_code, testing::internal::GetCapturedStdout()};
  }

  std::string folder_;
};

TEST_F(DecisionsCommand, ListsAndForgets) {
  EXPECT_EQ(run({"list"}), (std::pair{0, std::string("nothing is remembered\n")}));
  const auto file = config::DecisionFile::of_this_user();
  ASSERT_TRUE(file);
  ASSERT_TRUE(
      file->remember({"allow example.com:443/tcp", "2026-03-01T12:00:00Z", "ctl", "make", ""}));
  const auto [status, text] = run({"list"});
  EXPECT_EQ(status, 0);
  EXPECT_NE(text.find("1       allow example.com:443/tcp  2026-03-01T12:00:00Z  ctl  make"),
            std::string::npos)
      << text;
  EXPECT_EQ(
      run({"--json", "list"}).second,
      "{\"rule\":\"allow example.com:443/tcp\",\"when\":\"2026-03-01T12:00:00Z\",\"by\":\"ctl\","
      "\"run\":\"make\",\"note\":\"\"}\n");
  EXPECT_EQ(run({"forget", "2"}).first, 1);
  EXPECT_EQ(run({"forget", "1"}), (std::pair{0, std::string("1 forgotten\n")}));
  EXPECT_EQ(run({"forget", "all"}).first, 0);
}

TEST_F(DecisionsCommand, MistakesAreUsageErrors) {
  EXPECT_EQ(run({}).first, 2);
  EXPECT_EQ(run({"forget"}).first, 2);
  EXPECT_EQ(run({"list", "more"}).first, 2);
  EXPECT_EQ(run({"--help"}).first, 0);
}

}  // namespace
}  // namespace sluice::app
