#include "serve/learn/learned_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace sluice::serve {
namespace {

namespace fs = std::filesystem;

class LearnedFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = fs::temp_directory_path() / "sluice-learn-XXXXXX";
    folder_ = ::mkdtemp(path.data());
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string text() const {
    std::ifstream file(folder_ / "p.toml");
    return {std::istreambuf_iterator<char>(file), {}};
  }
  LearnPlan plan() const {
    return {.file = folder_ / "p.toml", .text = [](const telemetry::Usage& usage) {
              return std::to_string(usage.rows().size()) + " rows\n";
            }};
  }
  fs::path folder_;
};

TEST_F(LearnedFileTest, IsNotThereBeforeTheEndAndThenWhole) {
  auto learned = LearnedFile::begin(plan());
  ASSERT_TRUE(learned.has_value()) << learned.error();
  learned->usage().rows()[{"a.test", true, 443, policy::Protocol::kTcp}] = {.flows = 1};
  EXPECT_TRUE(fs::is_empty(folder_));
  const auto written = learned->finish();
  ASSERT_TRUE(written.has_value()) << written.error();
  EXPECT_EQ(text(), "1 rows\n");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << "nothing else is left";
}

TEST_F(LearnedFileTest, AnOldOneStaysWhereTheRunDoesNotComeToItsEnd) {
  std::ofstream(folder_ / "p.toml") << "old\n";
  {
    const auto learned = LearnedFile::begin(plan());
  }
  EXPECT_EQ(text(), "old\n");
}

TEST_F(LearnedFileTest, AFolderThatIsNotThereIsToldAtOnce) {
  LearnPlan wrong = plan();
  wrong.file = folder_ / "none" / "p.toml";
  const auto learned = LearnedFile::begin(wrong);
  ASSERT_FALSE(learned.has_value());
  EXPECT_NE(learned.error().find("--learn: cannot write"), std::string::npos) << learned.error();
}

}  // namespace
}  // namespace sluice::serve
