#include "config/egress/ask_table.h"

#include <gtest/gtest.h>

#include "config/egress/policy_file.h"

namespace sluice::config {
namespace {

using namespace std::chrono_literals;

std::expected<PolicyParts, std::string> read(std::string_view text) {
  PolicyParts parts;
  const ProfileLibrary library({});
  PolicyReader reader(library, parts);
  if (auto added = reader.add_text(text, "ci.toml", "ci.toml"); !added) {
    return std::unexpected(added.error().front().describe());
  }
  return parts;
}

TEST(AskTable, HasDefaultsAndIsRead) {
  EXPECT_EQ(read("")->ask.pending, 32u);
  const auto parts = read(
      "default = \"ask\"\n[ask]\ntimeout = \"90s\"\npending = 4\non-timeout = \"deny\"\n"
      "remember = \"once\"\n[[rule]]\nask = [\"github.com\", \"*.github.com:22\"]\nnote = \"x\"\n");
  ASSERT_TRUE(parts) << parts.error();
  EXPECT_EQ(parts->ask.timeout, 90s);
  EXPECT_EQ(parts->ask.pending, 4u);
  EXPECT_EQ(parts->ask.remember, policy::AnswerScope::kOnce);
  EXPECT_EQ(parts->fallback, policy::Effect::kAsk);
  ASSERT_EQ(parts->draft.rules.size(), 2u);
  EXPECT_EQ(parts->draft.rules[0].rule.effect, policy::Effect::kAsk);
}

TEST(AskTable, MistakesAreNamed) {
  for (const std::string_view text :
       {"[ask]\ntimeout = \"0s\"\n", "[ask]\ntimeout = \"2h\"\n", "[ask]\npending = 0\n",
        "[ask]\non-timeout = \"allow\"\n", "[ask]\nremember = \"ever\"\n", "[ask]\nwhat = 1\n",
        "[[rule]]\nask = \"a.test\"\nallow = \"b.test\"\n"}) {
    EXPECT_FALSE(read(text)) << text;
  }
}

}  // namespace
}  // namespace sluice::config
