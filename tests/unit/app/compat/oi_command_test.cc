// What the command line of `oi` says before anything is forwarded.
#include "app/compat/oi_command.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::app {
namespace {

using Words = std::vector<const char*>;

std::string mistake(const Words& words) {
  const auto status = start_oi(words);
  if (status) return "accepted";
  EXPECT_EQ(status.error().exit_code, 2);
  return status.error().text;
}

TEST(OiCommand, AFileIsRequired) {
  EXPECT_EQ(mistake({"oi"}), "oi: no --config; expected --config FILE; see 'oi --help'\n");
  EXPECT_EQ(mistake({"oi", "-v"}), "oi: no --config; expected --config FILE; see 'oi --help'\n");
  EXPECT_EQ(mistake({"oi", "-c"}),
            "oi: --config: a value is missing; expected FILE; see 'oi --help'\n");
  EXPECT_EQ(mistake({"oi", "-c", "f", "--bogus"}),
            "oi: unknown option '--bogus'; see 'oi --help'\n");
  EXPECT_EQ(mistake({"oi", "-c", "f", "g"}),
            "oi: 'g' is unexpected; expected --config FILE; see 'oi --help'\n");
}

TEST(OiCommand, HelpAndVersion) {
  for (const Words& words : {Words{"oi", "-h"}, Words{"oi", "--help"}, Words{"oi", "--version"}}) {
    const auto status = start_oi(words);
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().exit_code, 0);
  }
}

TEST(OiCommand, ABadFileIsAnErrorInItsWords) {
  const Words words{"oi", "--config", "/nonexistent/oi.toml", "--verbose"};
  ::testing::internal::CaptureStderr();
  ::testing::internal::CaptureStdout();
  const auto status = start_oi(words);
  const std::string errors = ::testing::internal::GetCapturedStderr();
  const std::string output = ::testing::internal::GetCapturedStdout();
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(*status, 1);
  EXPECT_TRUE(errors.starts_with("Error loading config: ")) << errors;
  EXPECT_NE(errors.find("/nonexistent/oi.toml"), std::string::npos) << errors;
  EXPECT_EQ(output, "Loading configuration from /nonexistent/oi.toml\n");
}

}  // namespace
}  // namespace sluice::app
