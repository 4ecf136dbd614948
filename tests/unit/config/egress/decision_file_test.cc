// What was answered for always: kept, replaced, forgotten, and not believed where others write.
#include "config/egress/decision_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace sluice::config {
namespace {

namespace fs = std::filesystem;

class DecisionFileTest : public testing::Test {
 protected:
  DecisionFileTest() {
    std::string made = fs::temp_directory_path() / "sluice-decisions-XXXXXX";
    folder_ = ::mkdtemp(made.data());
    file_ = DecisionFile(folder_ + "/sluice/decisions.toml");
  }
  ~DecisionFileTest() override { fs::remove_all(folder_); }

  std::string text() const {
    std::ifstream file(file_.path());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(std::string_view text) {
    fs::create_directories(folder_ + "/sluice");
    std::ofstream(file_.path()) << text;
    ::chmod(file_.path().c_str(), 0600);
  }

  std::string folder_;
  DecisionFile file_{""};
};

TEST_F(DecisionFileTest, WithoutAFileNothingIsRemembered) {
  ASSERT_TRUE(file_.load());
  EXPECT_TRUE(file_.load()->empty());
  EXPECT_EQ(file_.forget("all"), 0u);
}

TEST_F(DecisionFileTest, WhatIsRememberedComesBackWhateverItsTexts) {
  const std::string odd = "a \"quoted\" \\ \n\x7f\x1b[31m \xd0\xbe line";
  ASSERT_TRUE(
      file_.remember({"allow example.com:443/tcp", "2026-03-01T12:00:00Z", "ctl", odd, ""}));
  ASSERT_TRUE(file_.remember({"deny .evil.test:443/tcp", "2026-03-01T12:00:01Z", "web", "x", "n"}));
  const auto all = file_.load();
  ASSERT_TRUE(all) << all.error();
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ((*all)[0].rule, "allow example.com:443/tcp");
  EXPECT_EQ((*all)[0].run, odd);
  EXPECT_EQ((*all)[1].note, "n");
  struct stat status{};
  ASSERT_EQ(::stat(file_.path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ + "/sluice"), {}), 1);
}

TEST_F(DecisionFileTest, ALaterAnswerTakesThePlaceOfAnOlderOne) {
  ASSERT_TRUE(file_.remember({"allow example.com:443/tcp", "", "", "", ""}));
  ASSERT_TRUE(file_.remember({"deny example.com:443/tcp", "", "", "", ""}));
  ASSERT_EQ(file_.load()->size(), 1u);
  EXPECT_EQ(file_.load()->front().rule, "deny example.com:443/tcp");
  EXPECT_FALSE(file_.remember({"maybe example.com", "", "", "", ""}));
}

TEST_F(DecisionFileTest, ForgettingGoesByNumberRuleAndTarget) {
  for (const auto* name : {"a", "b", "c", "d"}) {
    ASSERT_TRUE(file_.remember({std::string("allow ") + name + ".test:443/tcp", "", "", "", ""}));
  }
  EXPECT_EQ(file_.forget("2"), 1u);
  EXPECT_EQ(file_.forget("allow c.test:443/tcp"), 1u);
  EXPECT_EQ(file_.forget("d.test:443/tcp"), 1u);
  EXPECT_EQ(file_.forget("d.test:443/tcp"), 0u);
  ASSERT_EQ(file_.load()->size(), 1u);
  EXPECT_EQ(file_.load()->front().rule, "allow a.test:443/tcp");
  EXPECT_EQ(file_.forget("all"), 1u);
}

TEST_F(DecisionFileTest, MistakesAreNamedAndNothingOfTheFileCounts) {
  write(
      "version = 1\n[[decision]]\nrule = \"allow example.com:443/tcp\"\n[[decision]]\nrule = "
      "\"x\"\n");
  ASSERT_FALSE(file_.load());
  EXPECT_NE(file_.load().error().find("decisions.toml:4"), std::string::npos)
      << file_.load().error();
  EXPECT_FALSE(file_.remember({"allow a.test:443/tcp", "", "", "", ""}));
  write("version = 1\n[[decision]]\nrule = \"allow a.test\"\nscope = \"run\"\n");
  EXPECT_FALSE(file_.load());
  write("not TOML");
  EXPECT_FALSE(file_.load());
}

TEST_F(DecisionFileTest, AFileThatOthersWriteIsNotBelieved) {
  ASSERT_TRUE(file_.remember({"allow example.com:443/tcp", "", "", "", ""}));
  ::chmod(file_.path().c_str(), 0666);
  ASSERT_FALSE(file_.load());
  EXPECT_NE(file_.load().error().find("others can write it"), std::string::npos);
}

TEST(DecisionRule, CountsOnlyWhereAPolicyAsks) {
  const auto rule = rule_of({"deny .example.com:443/tcp", "", "", "", ""});
  ASSERT_TRUE(rule);
  EXPECT_TRUE(rule->rule.decision);
  EXPECT_EQ(rule->rule.effect, policy::Effect::kDeny);
  EXPECT_FALSE(rule_of({"ask example.com", "", "", "", ""}));
  EXPECT_FALSE(rule_of({"allow", "", "", "", ""}));
}

}  // namespace
}  // namespace sluice::config
