// Options of rinetd 0.73, as Debian's program takes them.
#include "app/compat/rinetd_command.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::app {
namespace {

using Words = std::vector<const char*>;

RinetdOptions options(const Words& words) {
  const auto parsed = parse_rinetd_options(words);
  EXPECT_TRUE(parsed.has_value());
  return parsed ? *parsed : RinetdOptions{};
}

TEST(RinetdCommand, WithoutOptionsItIsADaemonWithTheFileOfTheSystem) {
  const RinetdOptions o = options({"rinetd"});
  EXPECT_EQ(o.config_file, "/etc/rinetd.conf");
  EXPECT_FALSE(o.foreground);
}

TEST(RinetdCommand, ShortAndLongOptions) {
  for (const Words& words :
       {Words{"rinetd", "-f", "-c", "x"}, Words{"rinetd", "-fcx"}, Words{"rinetd", "-cx", "-f"},
        Words{"rinetd", "--foreground", "--conf-file=x"}, Words{"rinetd", "--fore", "--conf", "x"},
        Words{"rinetd", "word", "-f", "-c", "x"},
        Words{"rinetd", "-c", "w", "-f", "-c", "x", "word"}}) {
    const RinetdOptions o = options(words);
    EXPECT_EQ(o.config_file, "x");
    EXPECT_TRUE(o.foreground);
  }
}

TEST(RinetdCommand, HelpAndVersion) {
  for (const Words& words : {Words{"rinetd", "-h"}, Words{"rinetd", "--help"},
                             Words{"rinetd", "-v"}, Words{"rinetd", "--version"}}) {
    const auto parsed = parse_rinetd_options(words);
    ASSERT_FALSE(parsed.has_value());
    EXPECT_EQ(parsed.error().exit_code, 0);
    EXPECT_TRUE(parsed.error().text.find("rinetd") != std::string::npos);
  }
}

TEST(RinetdCommand, GetoptSaysWhatIsWrong) {
  for (const Words& words :
       {Words{"rinetd", "-x"}, Words{"rinetd", "--bogus"}, Words{"rinetd", "-c"}}) {
    ::testing::internal::CaptureStderr();
    const auto parsed = parse_rinetd_options(words);
    const std::string said = ::testing::internal::GetCapturedStderr();
    ASSERT_FALSE(parsed.has_value());
    EXPECT_EQ(parsed.error().exit_code, 1);
    EXPECT_TRUE(parsed.error().text.empty());
    EXPECT_TRUE(said.starts_with("rinetd: ")) << said;
  }
}

}  // namespace
}  // namespace sluice::app
