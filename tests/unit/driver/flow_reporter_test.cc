#include "driver/flow_reporter.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "unit/sys/loopback.h"

namespace sluice::driver {
namespace {

using namespace std::chrono_literals;

[[nodiscard]] flow::FlowSummary summary(wire::IpProtocol protocol = wire::IpProtocol::kTcp) {
  flow::FlowSummary one{};
  one.key = {{sys::ip("10.0.2.15"), wire::Port{40'000}},
             {sys::ip("192.0.2.7"), wire::Port{443}},
             protocol};
  one.opened = Instant{1000s};
  one.ended = Instant{1002s};
  one.bytes_to_host = 100;
  one.bytes_to_guest = 2000;
  return one;
}

TEST(FlowReporter, WithoutReportAndLogNothingIsKept) {
  FlowReporter reporter(Instant{1000s}, false, std::nullopt);
  reporter.add(summary(), "example.org");
  EXPECT_FALSE(reporter.report().has_value());
  EXPECT_EQ(reporter.next_wakeup(Instant{1000s}), kNever);
}

TEST(FlowReporter, TheReportHasTheFlowWithItsName) {
  FlowReporter reporter(Instant{1000s}, true, std::nullopt);
  reporter.add(summary(), "example.org");
  ASSERT_TRUE(reporter.report().has_value());
  const auto json = nlohmann::json::parse(reporter.report()->json({}));
  ASSERT_EQ(json["flows"].size(), 1U);
  const auto& flow = json["flows"][0];
  EXPECT_EQ(flow["name"], "example.org");
  EXPECT_EQ(flow["address"], "192.0.2.7");
  EXPECT_EQ(flow["bytes_to_host"], 100);
  EXPECT_EQ(flow["duration_s"], 2.0);
}

TEST(FlowReporter, TheLogHasTheTimeOnTheWallAndEchoesWithoutAPort) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const UniqueFd reader(ends[0]);
  FlowReporter reporter(Instant{1000s}, false, telemetry::FlowLog(UniqueFd(ends[1]), "a pipe"));
  const auto before = std::chrono::system_clock::now();
  reporter.add(summary(wire::IpProtocol::kIcmp), "");
  EXPECT_NE(reporter.next_wakeup(Instant{1000s}), kNever);
  reporter.finish();
  std::string line(4096, '\0');
  const ssize_t length = ::read(reader.get(), line.data(), line.size());
  ASSERT_GT(length, 0);
  const auto json = nlohmann::json::parse(line.substr(0, static_cast<std::size_t>(length)));
  EXPECT_EQ(json["protocol"], "icmp");
  EXPECT_EQ(json["guest_port"], 0);
  // It opened when the reporter was made, give or take a loaded machine.
  const auto today = std::chrono::floor<std::chrono::days>(before);
  const std::chrono::year_month_day date(today);
  const std::string year = std::to_string(static_cast<int>(date.year()));
  EXPECT_TRUE(json["time"].get<std::string>().starts_with(year) ||
              json["time"].get<std::string>().starts_with(std::to_string(std::stoi(year) + 1)));
}

}  // namespace
}  // namespace sluice::driver
