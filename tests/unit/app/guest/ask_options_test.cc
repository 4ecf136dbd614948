#include "app/guest/ask_options.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "app/guest/policy_options.h"
#include "app/options/command.h"
#include "config/egress/decision_file.h"

namespace sluice::app {
namespace {

using namespace std::chrono_literals;

class AskOptions : public testing::Test {
 protected:
  AskOptions() {
    std::string made = std::filesystem::temp_directory_path() / "sluice-ask-XXXXXX";
    folder_ = ::mkdtemp(made.data());
    ::setenv("XDG_CONFIG_HOME", folder_.c_str(), 1);
  }
  ~AskOptions() override {
    ::unsetenv("XDG_CONFIG_HOME");
    std::filesystem::remove_all(folder_);
  }
  std::expected<GuestOptions, Mistake> read(const std::vector<const char*>& words) {
    const auto raw = split_arguments(kRunCommand, words);
    EXPECT_TRUE(raw.has_value());
    GuestOptions options;
    if (auto done = read_policy_options(*raw, options); !done) {
      return std::unexpected(done.error());
    }
    return options;
  }

  std::string folder_;
};

TEST_F(AskOptions, AloneItIsTheDefaultAndWithATargetARule) {
  const auto all = read({"--ask"});
  ASSERT_TRUE(all);
  EXPECT_EQ(all->policy.fallback, policy::Effect::kAsk);
  EXPECT_EQ(all->policy_line, "default ask, 0 rules");
  EXPECT_EQ(all->ask.settings.timeout, 60s);
  const auto some = read({"--ask=github.com", "--ask=*.test:22", "--ask-timeout", "90s"});
  ASSERT_TRUE(some);
  EXPECT_EQ(some->policy.fallback, policy::Effect::kDeny);
  EXPECT_EQ(some->policy.rules.size(), 2u);
  EXPECT_EQ(some->policy.rules[1].rule.id, "--ask #2");
  EXPECT_EQ(some->ask.settings.timeout, 90s);
  EXPECT_EQ(read({"--default", "ask"})->policy.fallback, policy::Effect::kAsk);
}

TEST_F(AskOptions, WhatContradictsItselfIsAMistake) {
  EXPECT_FALSE(read({"--ask", "--default", "deny"}));
  EXPECT_FALSE(read({"--ask", "--ask-timeout", "0"}));
  EXPECT_FALSE(read({"--ask", "--ask-timeout", "2h"}));
  EXPECT_FALSE(read({"--ask-timeout", "5s"}));
  EXPECT_FALSE(read({"--allow", "ok.test", "--ask-exec", "true"}));
  EXPECT_FALSE(read({"--ask=*.com"}));
}

TEST_F(AskOptions, WhatIsRememberedCountsWhereThePolicyAsksAndItsFolderIsHidden) {
  const auto file = config::DecisionFile::of_this_user();
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->remember({"allow example.com:443/tcp", "", "", "", ""}));
  const auto asks = read({"--ask"});
  ASSERT_TRUE(asks);
  EXPECT_EQ(asks->policy_line, "default ask, 0 rules, +1 remembered");
  ASSERT_EQ(asks->policy.rules.size(), 1u);
  EXPECT_TRUE(asks->policy.rules[0].rule.decision);
  EXPECT_EQ(asks->hidden, std::vector<std::string>{folder_ + "/sluice"});
  EXPECT_EQ(asks->ask.domain_of("www.example.co.uk"), "example.co.uk");
  const auto does_not = read({"--allow", "ok.test"});
  ASSERT_TRUE(does_not);
  EXPECT_EQ(does_not->policy.rules.size(), 1u);
  EXPECT_TRUE(does_not->hidden.empty());
}

}  // namespace
}  // namespace sluice::app
