#include "telemetry/snapshot.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sluice::telemetry {
namespace {

TEST(Snapshot, AStatusWithoutDropsSaysSo) {
  EXPECT_EQ(status_text({}, "sluice run"), "sluice run: 0 flows; dropped or refused:\n  nothing\n");
}

TEST(Snapshot, AStatusNamesWhatIsNotZero) {
  const Snapshot snapshot{.flows = 3,
                          .drops = {{"malformed", 2}, {"unreachable", 0}, {"tcp-late", 10}},
                          .fast_path = {{"handed over", 7}, {"refused", 0}}};
  EXPECT_EQ(status_text(snapshot, "sluice run"),
            "sluice run: 3 flows; dropped or refused:\n"
            "  malformed   2\n"
            "  tcp-late   10\n"
            "fast path:\n"
            "  handed over  7\n");
}

TEST(Snapshot, AReportIsPrintedAsItIsWantedAndEndsItsLine) {
  Report report;
  FlowRecord record;
  record.bytes_to_host = 5;
  report.add(record);
  const Snapshot snapshot{.drops = {{"malformed", 2}}, .report = &report};
  const std::string json = report_text(snapshot, ReportFormat::kJson, Color::kOff);
  ASSERT_FALSE(json.empty());
  EXPECT_EQ(json.back(), '\n');
  const auto parsed = nlohmann::json::parse(json);
  EXPECT_EQ(parsed["flows"].size(), 1U);
  EXPECT_EQ(parsed["drops"]["malformed"], 2);

  const std::string text = report_text(snapshot, ReportFormat::kText, Color::kOff);
  EXPECT_NE(text.find("malformed"), std::string::npos);
  EXPECT_EQ(text.back(), '\n');
}

TEST(Snapshot, WithoutAReportNothingIsPrinted) {
  EXPECT_EQ(report_text({}, ReportFormat::kText, Color::kOff), "");
  const Report report;
  EXPECT_EQ(report_text({.report = &report}, ReportFormat::kNone, Color::kOff), "");
}

}  // namespace
}  // namespace sluice::telemetry
