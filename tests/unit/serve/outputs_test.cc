#include "serve/outputs.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

namespace sluice::serve {
namespace {

class OutputsTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(::mkdtemp(folder_.data()), nullptr); }
  void TearDown() override {
    for (const char* name : {"report", "log", "pcap"}) ::unlink(path(name).c_str());
    ::rmdir(folder_.c_str());
  }
  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
  [[nodiscard]] static std::string text_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string folder_ = "/tmp/sluice-outputs-XXXXXX";
};

TEST_F(OutputsTest, WithoutAPlanThereAreNone) {
  auto outputs = Outputs::open({});
  ASSERT_TRUE(outputs.has_value());
  EXPECT_FALSE(outputs->wants_report());
  EXPECT_FALSE(outputs->take_pcap().has_value());
  EXPECT_FALSE(outputs->take_flow_log().has_value());
  testing::internal::CaptureStderr();
  outputs->finish({});
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(OutputsTest, WhatIsNamedIsOpenAtOnce) {
  auto outputs = Outputs::open({.report = telemetry::ReportFormat::kJson,
                                .report_file = path("report"),
                                .flow_log = path("log"),
                                .pcap = path("pcap")});
  ASSERT_TRUE(outputs.has_value());
  for (const char* name : {"report", "log", "pcap"}) {
    struct stat status{};
    EXPECT_EQ(::stat(path(name).c_str(), &status), 0) << name;
  }
  EXPECT_TRUE(outputs->take_pcap().has_value());
  EXPECT_FALSE(outputs->take_pcap().has_value());  // It has one writer.
  EXPECT_TRUE(outputs->take_flow_log().has_value());
}

TEST_F(OutputsTest, TheReportIsWrittenInTheEnd) {
  auto outputs =
      Outputs::open({.report = telemetry::ReportFormat::kJson, .report_file = path("report")});
  ASSERT_TRUE(outputs.has_value());
  EXPECT_TRUE(outputs->wants_report());
  EXPECT_EQ(text_of(path("report")), "");
  const telemetry::Report report;
  outputs->finish({.report = &report});
  const std::string text = text_of(path("report"));
  EXPECT_TRUE(nlohmann::json::parse(text).contains("flows"));
  EXPECT_TRUE(text.ends_with("}\n"));
}

TEST_F(OutputsTest, AMistakeNamesItsOption) {
  const std::string nowhere = path("missing/file");
  const std::string why = " cannot write '" + nowhere + "': No such file or directory";
  const auto error_of = [](OutputPlan plan) {
    auto outputs = Outputs::open(std::move(plan));
    return outputs ? std::string() : outputs.error();
  };
  EXPECT_EQ(error_of({.pcap = nowhere}), "--pcap:" + why);
  EXPECT_EQ(error_of({.flow_log = nowhere}), "--flow-log:" + why);
  EXPECT_EQ(error_of({.report_file = nowhere}), "--report-file:" + why);
  EXPECT_EQ(error_of({.trace = &telemetry::kTraceTargets.front(), .trace_file = nowhere}),
            "--trace:" + why);
}

TEST_F(OutputsTest, APipeThatNobodyReadsIsNotWaitedFor) {
  ASSERT_EQ(::mkfifo(path("log").c_str(), 0600), 0);
  const auto outputs = Outputs::open({.flow_log = path("log")});
  ASSERT_FALSE(outputs.has_value());
  EXPECT_TRUE(outputs.error().ends_with("; nobody reads this pipe: start its reader first"))
      << outputs.error();
}

}  // namespace
}  // namespace sluice::serve
