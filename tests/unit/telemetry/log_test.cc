#include "telemetry/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "base/unique_fd.h"

namespace sluice::telemetry {
namespace {

// Messages go to a file of the test's while it lives.
class LogTest : public testing::Test {
 protected:
  LogTest() { set_log_descriptor(file_.get()); }
  ~LogTest() override {
    set_log_bound(0);
    set_log_descriptor(STDERR_FILENO);
  }
  [[nodiscard]] std::string text() const {
    std::string text(1 << 20, '\0');
    text.resize(static_cast<std::size_t>(::pread(file_.get(), text.data(), text.size(), 0)));
    return text;
  }
  [[nodiscard]] static UniqueFd open_file() {
    std::string path = testing::TempDir() + "sluice-log-XXXXXX";
    UniqueFd file(::mkostemp(path.data(), O_APPEND | O_CLOEXEC));
    ::unlink(path.c_str());
    return file;
  }

 private:
  UniqueFd file_ = open_file();
};

TEST_F(LogTest, ALineEach) {
  log_warn("first\nsecond");
  EXPECT_EQ(text(), "sluice: warning: first\\x0asecond\n");
}

TEST_F(LogTest, ABoundedFileKeepsItsNewestLinesWhole) {
  log_error("what was there before");
  set_log_bound(4096);
  for (int i = 0; i < 1000; ++i) log_error("line {}", i);
  const std::string kept = text();
  EXPECT_LE(kept.size(), 4096U);
  EXPECT_GE(kept.size(), 1024U);
  EXPECT_TRUE(kept.ends_with("sluice: error: line 999\n"));
  std::size_t from = 0;
  for (std::size_t end = 0; (end = kept.find('\n', from)) != std::string::npos; from = end + 1) {
    EXPECT_TRUE(kept.substr(from).starts_with("sluice: error: line ")) << kept.substr(from, 30);
  }
}

}  // namespace
}  // namespace sluice::telemetry
