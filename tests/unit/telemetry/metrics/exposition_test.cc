#include "telemetry/metrics/exposition.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;

TEST(Exposition, AFamilyIsToldBeforeItsSeries) {
  fmt::memory_buffer out;
  Exposition text(out);
  text.family("sluice_x_total", MetricType::kCounter, "What it is.");
  text.value({{"proto", "tcp"}, {"path", "tap"}}, 12);
  text.value({}, 0);
  EXPECT_EQ(fmt::to_string(out),
            "# HELP sluice_x_total What it is.\n"
            "# TYPE sluice_x_total counter\n"
            "sluice_x_total{proto=\"tcp\",path=\"tap\"} 12\n"
            "sluice_x_total 0\n");
}

TEST(Exposition, BucketsOfAHistogramHoldAllBelow) {
  TimeHistogram values;
  values.add(1500us);
  values.add(3ms);
  values.add(7s);
  fmt::memory_buffer out;
  Exposition text(out);
  text.family("sluice_x_seconds", MetricType::kHistogram, "What it is.");
  text.histogram(values);
  const std::string all = fmt::to_string(out);
  EXPECT_NE(all.find("sluice_x_seconds_bucket{le=\"0.001\"} 0\n"), std::string::npos) << all;
  EXPECT_NE(all.find("sluice_x_seconds_bucket{le=\"0.002\"} 1\n"), std::string::npos) << all;
  EXPECT_NE(all.find("sluice_x_seconds_bucket{le=\"5\"} 2\n"), std::string::npos) << all;
  EXPECT_NE(all.find("sluice_x_seconds_bucket{le=\"+Inf\"} 3\n"), std::string::npos) << all;
  EXPECT_NE(all.find("sluice_x_seconds_sum 7.0045\n"), std::string::npos) << all;
  EXPECT_NE(all.find("sluice_x_seconds_count 3\n"), std::string::npos) << all;
}

}  // namespace
}  // namespace sluice::telemetry
