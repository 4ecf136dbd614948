#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "config/forward_config.h"

namespace sluice::config {
namespace {

namespace fs = std::filesystem;

// A file that goes with the test.
class TemporaryFile {
 public:
  TemporaryFile(const std::string& name, std::string_view text)
      : path_(fs::temp_directory_path() /
              (std::to_string(::testing::UnitTest::GetInstance()->random_seed()) +
               std::to_string(reinterpret_cast<std::uintptr_t>(this)) + name)) {
    std::ofstream(path_, std::ios::binary) << text;
  }
  ~TemporaryFile() {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  fs::path path_;
};

TEST(LoadConfig, AByteOrderMarkIsSkipped) {
  const TemporaryFile toml("bom.toml",
                           "\xef\xbb\xbf"
                           "workers = 3\nforwarding_rules = []\n");
  EXPECT_EQ(load_forward_config(toml.path()).value().plan.workers, 3u);
  const TemporaryFile conf("bom.conf",
                           "\xef\xbb\xbf"
                           "0.0.0.0 80 10.1.1.2 80\n");
  EXPECT_EQ(load_forward_config(conf.path()).value().plan.rules.size(), 1u);
}

TEST(LoadConfig, GoesByTheNamesEnding) {
  const TemporaryFile toml("a.toml", "forwarding_rules = []\nworkers = 3\n");
  EXPECT_EQ(load_forward_config(toml.path()).value().plan.workers, 3u);
  const TemporaryFile conf("a.conf", "0.0.0.0 80 10.1.1.2 80\n");
  const auto loaded = load_forward_config(conf.path()).value();
  ASSERT_EQ(loaded.plan.rules.size(), 1u);
  EXPECT_EQ(loaded.plan.rules[0].where, (forward::Source{conf.path(), 1}));
}

TEST(LoadConfig, ReadsPastOneBuffer) {
  std::string text(200'000, '#');
  text += "\n0.0.0.0 80 10.1.1.2 80\n";
  const TemporaryFile conf("long.conf", text);
  EXPECT_EQ(load_forward_config(conf.path()).value().plan.rules.at(0).where.line, 2u);
}

TEST(LoadConfig, SaysWhyAFileCannotBeRead) {
  const auto missing = load_forward_config("/no/such/file.toml");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().at(0).describe(),
            "/no/such/file.toml: cannot be read: No such file or directory; expected a "
            "configuration file");
  const auto folder = load_forward_config("/");
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().at(0).describe(),
            "/: cannot be read: Is a directory; expected a configuration file");
  const auto endless = load_forward_config("/dev/zero");
  ASSERT_FALSE(endless);
  EXPECT_EQ(endless.error().at(0).describe(),
            "/dev/zero: is larger than 16 MiB; expected a configuration file");
}

TEST(LoadConfig, EveryExampleLoadsWithoutAWarning) {
  const fs::path root = SLUICE_ROOT;
  int count = 0;
  for (const auto& entry : fs::directory_iterator(root / "examples")) {
    const std::string path = entry.path().string();
    if (!path.ends_with(".toml") && !path.ends_with(".conf")) continue;
    ++count;
    const auto loaded = load_forward_config(path);
    ASSERT_TRUE(loaded) << loaded.error().front().describe();
    for (const auto& warning : loaded->warnings) ADD_FAILURE() << warning.describe();
    EXPECT_FALSE(loaded->plan.rules.empty()) << path;
  }
  EXPECT_GE(count, 6);
}

// Every key that the readers know stands in some example, so that nobody has to guess its form.
TEST(LoadConfig, ExamplesShowWhatIsNotTheDefault) {
  const fs::path root = SLUICE_ROOT;
  const auto loaded = load_forward_config((root / "examples/every-setting.toml").string());
  ASSERT_TRUE(loaded);
  const auto& rule = loaded->plan.rules.at(0);
  EXPECT_EQ(rule.timeouts, forward::TimeoutPlan{}) << "the file claims to show the defaults";
  EXPECT_EQ(rule.health, (forward::HealthPlan{.enabled = true}));
  EXPECT_EQ(loaded->plan.relay, relay::Options{});
  EXPECT_EQ(loaded->plan.drain_timeout, forward::Plan{}.drain_timeout);
  EXPECT_TRUE(rule.limits.any());
}

// Debian's file, where rinetd is installed.
TEST(LoadConfig, DebiansRinetdConfLoadsUnchanged) {
  if (!fs::exists("/etc/rinetd.conf")) GTEST_SKIP() << "rinetd is not installed";
  const auto loaded = load_forward_config("/etc/rinetd.conf");
  ASSERT_TRUE(loaded) << loaded.error().front().describe();
  EXPECT_TRUE(loaded->warnings.empty());
}

}  // namespace
}  // namespace sluice::config
