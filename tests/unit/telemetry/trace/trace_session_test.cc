#include "telemetry/trace/trace_session.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace sluice::telemetry {
namespace {

class TraceSessionTest : public testing::Test {
 protected:
  void TearDown() override {
    EXPECT_TRUE(trace::stop_trace());
    std::filesystem::remove(path_);
  }
  std::string run(const char* ending) {
    path_ = testing::TempDir() + "sluice_trace_session" + ending;
    auto session = TraceSession::open(kTraceTargets.front(), path_);
    EXPECT_TRUE(session.has_value());
    if (!session) return {};
#if SLUICE_PROBES
    EXPECT_TRUE(session->start());
    EXPECT_TRUE(session->finish());
#else
    EXPECT_FALSE(session->start());
    return {};
#endif
    std::ostringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }

 private:
  std::string path_;
};

#if SLUICE_PROBES
TEST_F(TraceSessionTest, TheFilesNameDecidesTheForm) {
  EXPECT_TRUE(nlohmann::json::parse(run(".json")).contains("traceEvents"));
  EXPECT_TRUE(run(".txt").starts_with("Trace crr: 0 events"));
}
#else
TEST_F(TraceSessionTest, WithoutProbesItDoesNotStart) { EXPECT_TRUE(run(".txt").empty()); }
#endif

TEST_F(TraceSessionTest, AFileThatCannotBeWritten) {
  const auto session = TraceSession::open(kTraceTargets.front(), "/nonexistent/trace.json");
  ASSERT_FALSE(session.has_value());
  EXPECT_EQ(session.error(), (sys::SysError{sys::SysOp::kOpen, ENOENT}));
}

}  // namespace
}  // namespace sluice::telemetry
