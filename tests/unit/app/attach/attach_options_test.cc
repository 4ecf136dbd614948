#include "app/attach/attach_options.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::app {
namespace {

std::expected<AttachOptions, EarlyExit> parse(const std::vector<const char*>& words) {
  return parse_attach_options(words);
}

std::string mistake(const std::vector<const char*>& words) {
  const auto parsed = parse(words);
  if (parsed) return "";
  EXPECT_EQ(parsed.error().exit_code, 2);
  return parsed.error().text;
}

TEST(AttachOptions, ATargetIsAProcessAPathOrAName) {
  EXPECT_EQ(parse({"4711"})->target.process, 4711);
  EXPECT_EQ(parse({"/proc/1/ns/net"})->target.network, "/proc/1/ns/net");
  EXPECT_EQ(parse({"./here"})->target.network, "./here");
  EXPECT_EQ(parse({"lab"})->target.network, "/run/netns/lab");
  EXPECT_EQ(parse({"--netns", "lab"})->target.network, "lab");
  EXPECT_FALSE(parse({"lab"})->target.process.has_value());
  EXPECT_EQ(parse({"--userns", "/proc/9/ns/user", "9"})->target.user, "/proc/9/ns/user");
}

TEST(AttachOptions, ExactlyOneTargetIsNamed) {
  EXPECT_TRUE(mistake({}).contains("nothing says which namespace"));
  EXPECT_TRUE(mistake({""}).contains("TARGET is empty"));
  EXPECT_TRUE(mistake({"1", "2"}).contains("only one namespace"));
  EXPECT_TRUE(mistake({"--netns", "/x", "2"}).contains("names the namespace already"));
  EXPECT_TRUE(mistake({"--netns", ""}).contains("--netns: the path is empty"));
  EXPECT_TRUE(mistake({"--userns", "", "2"}).contains("--userns: the path is empty"));
  EXPECT_TRUE(mistake({"0"}).contains("out of range"));
  EXPECT_TRUE(mistake({"99999999999"}).contains("out of range"));
}

TEST(AttachOptions, WhoWaitsIsTold) {
  const auto options =
      parse({"--background", "--pid-file", "p", "--ready-fd", "3", "--exit-fd=4", "lab"});
  ASSERT_TRUE(options.has_value());
  EXPECT_TRUE(options->background);
  EXPECT_EQ(options->pid_file, "p");
  EXPECT_EQ(options->ready_fd, 3);
  EXPECT_EQ(options->exit_fd, 4);
  EXPECT_TRUE(mistake({"--ready-fd=3", "--exit-fd=3", "lab"}).contains("expected another"));
  EXPECT_TRUE(mistake({"--ready-fd=x", "lab"}).contains("is not a number"));
  EXPECT_TRUE(mistake({"--exit-fd=-1", "lab"}).contains("--exit-fd"));
  EXPECT_TRUE(mistake({"--pid-file", "", "lab"}).contains("--pid-file"));
}

TEST(AttachOptions, OptionsMayStandBehindTheTarget) {
  const auto options = parse({"lab", "--interface", "eth9", "--fast-path=off", "--workers=2"});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->interface, "eth9");
  EXPECT_EQ(options->fast_path, policy::FastPathUse::kOff);
  EXPECT_EQ(options->workers, 2);
}

}  // namespace
}  // namespace sluice::app
