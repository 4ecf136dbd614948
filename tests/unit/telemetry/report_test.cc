#include "telemetry/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;
using policy::Outcome;
using policy::Verdict;

FlowRecord flow(std::string_view address, std::uint16_t port, std::string_view name = {}) {
  FlowRecord record;
  record.guest = {wire::parse_ip("10.0.2.15").value(), wire::Port{40'000}};
  record.peer = {wire::parse_ip(address).value(), wire::Port{port}};
  record.name = name;
  record.duration = 250ms;
  record.bytes_to_host = 100;
  record.bytes_to_guest = 2048;
  return record;
}

FlowRecord with(FlowRecord record, Verdict verdict, Outcome outcome) {
  record.verdict = verdict;
  record.outcome = outcome;
  return record;
}

TEST(Report, SumsFlowsOfOneTarget) {
  Report report;
  report.add(flow("192.0.2.7", 443, "example.org"));
  report.add(flow("192.0.2.7", 443, "example.org"));
  report.add(
      with(flow("192.0.2.7", 443, "example.org"), Verdict::kAccepted, Outcome::kResetByHost));
  EXPECT_EQ(report.rows(), 1u);
  EXPECT_EQ(
      report.text({}, Color::kOff),
      "sluice: 3 flows, 300 B to the host, 6.0 KiB to the guest\n"
      "\n"
      "  NAME         ADDRESS    PORT  PROTO  FLOWS  TO HOST  TO GUEST  DURATION  VERDICT\n"
      "  example.org  192.0.2.7   443  tcp        3    300 B   6.0 KiB   0.750 s  accepted\n");
}

TEST(Report, KeepsRefusalsAndFailuresApart) {
  Report report;
  report.add(flow("192.0.2.7", 443));
  report.add(with(flow("192.0.2.7", 443), Verdict::kDeniedByPolicy, Outcome::kNotAccepted));
  report.add(with(flow("192.0.2.7", 443), Verdict::kAccepted, Outcome::kRefused));
  report.add(with(flow("192.0.2.7", 443), Verdict::kAccepted, Outcome::kTimedOut));
  EXPECT_EQ(report.rows(), 4u);
  const std::string text = report.text({}, Color::kOff);
  for (const char* word : {"accepted\n", "denied\n", "refused\n", "timed out\n"}) {
    EXPECT_NE(text.find(word), std::string::npos) << word << text;
  }
}

TEST(Report, ARefusedAddressOfTheHostComesWithTheMend) {
  Report report;
  report.add(with(flow("192.0.2.7", 443), Verdict::kHostAddress, Outcome::kNotAccepted));
  EXPECT_NE(report.text({}, Color::kOff).find("host address; --allow 192.0.2.7 opens it\n"),
            std::string::npos);
  EXPECT_NE(report.json({}).find("\"verdict\": \"host address\""), std::string::npos);
}

TEST(Report, InboundRowsAreByClientAndGuestPort) {
  Report report;
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{50001, 50002}) {
    FlowRecord record = flow("198.51.100.9", port);
    record.direction = FlowDirection::kInbound;
    record.guest.port = wire::Port{80};
    report.add(record);
  }
  EXPECT_EQ(report.rows(), 1u);
  const std::string text = report.text({}, Color::kOff);
  EXPECT_NE(text.find("198.51.100.9    80  tcp in      2"), std::string::npos) << text;
}

TEST(Report, NothingGuestChoseReachesTheTerminalRaw) {
  Report report;
  report.add(flow("192.0.2.7", 443, "a\x1b[2J\n\xff\"\\"));
  const std::string text = report.text({}, Color::kOff);
  EXPECT_NE(text.find("a\\027[2J\\010\\255\\034\\092"), std::string::npos) << text;
  const auto json = nlohmann::json::parse(report.json({}));
  EXPECT_EQ(json["flows"][0]["name"], "a\\027[2J\\010\\255\\034\\092");
}

TEST(Report, MemoryIsBounded) {
  Report report(2);
  report.add(flow("192.0.2.1", 1));
  report.add(flow("192.0.2.1", 2));
  for (std::uint16_t port = 3; port < 103; ++port) report.add(flow("192.0.2.1", port));
  report.add(flow("192.0.2.1", 1));
  EXPECT_EQ(report.rows(), 2u);
  const std::string text = report.text({}, Color::kOff);
  EXPECT_NE(text.find("sluice: 103 flows"), std::string::npos) << text;
  EXPECT_NE(text.find("The table holds 2 rows; 100 flows beyond that"), std::string::npos) << text;
  const auto json = nlohmann::json::parse(report.json({}));
  EXPECT_EQ(json["flows"].size(), 2u);
  EXPECT_EQ(json["others"]["flows"], 100);
  EXPECT_EQ(json["total"]["flows"], 103);
}

TEST(Report, LargestFirst) {
  Report report;
  report.add(flow("192.0.2.1", 1));
  FlowRecord large = flow("192.0.2.2", 2);
  large.bytes_to_guest = 1'000'000'000;
  report.add(large);
  const auto json = nlohmann::json::parse(report.json({}));
  EXPECT_EQ(json["flows"][0]["address"], "192.0.2.2");
  EXPECT_EQ(json["flows"][1]["address"], "192.0.2.1");
}

TEST(Report, JsonHasTheDocumentedShape) {
  Report report;
  report.add(
      with(flow("2001:db8::7", 53, "example.org"), Verdict::kAccepted, Outcome::kUnreachable));
  const Counter drops[] = {{"tcp.bad-checksum", 3}, {"ip.truncated", 0}};
  const auto json = nlohmann::json::parse(report.json(drops));
  const auto& row = json["flows"][0];
  EXPECT_EQ(row["name"], "example.org");
  EXPECT_EQ(row["address"], "2001:db8::7");
  EXPECT_EQ(row["port"], 53);
  EXPECT_EQ(row["protocol"], "tcp");
  EXPECT_EQ(row["direction"], "out");
  EXPECT_EQ(row["verdict"], "accepted");
  EXPECT_EQ(row["result"], "unreachable");
  EXPECT_EQ(row["flows"], 1);
  EXPECT_EQ(row["bytes_to_host"], 100);
  EXPECT_EQ(row["bytes_to_guest"], 2048);
  EXPECT_EQ(row["duration_s"], 0.25);
  EXPECT_EQ(row["duration_s_max"], 0.25);
  EXPECT_TRUE(json["others"].is_null());
  EXPECT_EQ(json["drops"]["tcp.bad-checksum"], 3);
  EXPECT_EQ(json["drops"]["ip.truncated"], 0);
}

TEST(Report, AnUnknownNameIsNull) {
  Report report;
  report.add(flow("192.0.2.1", 1));
  EXPECT_TRUE(nlohmann::json::parse(report.json({}))["flows"][0]["name"].is_null());
}

TEST(Report, EmptyReportSaysSo) {
  const Report report;
  EXPECT_EQ(report.text({}, Color::kOff), "sluice: 0 flows, 0 B to the host, 0 B to the guest\n");
  EXPECT_TRUE(nlohmann::json::parse(report.json({}))["flows"].empty());
}

TEST(Report, ColoursOnlyWhenAsked) {
  Report report;
  report.add(with(flow("192.0.2.1", 1), Verdict::kDeniedByPolicy, Outcome::kNotAccepted));
  EXPECT_EQ(report.text({}, Color::kOff).find('\x1b'), std::string::npos);
  EXPECT_NE(report.text({}, Color::kOn).find("\x1b[31mdenied\x1b[0m"), std::string::npos);
}

TEST(Report, PrintsDropsThatHappened) {
  const Report report;
  const Counter drops[] = {{"tcp.bad-checksum", 3}, {"ip.truncated", 0}, {"arp", 12'345}};
  EXPECT_EQ(report.text(drops, Color::kOff),
            "sluice: 0 flows, 0 B to the host, 0 B to the guest\n"
            "\n"
            "  Packets dropped or refused:\n"
            "  tcp.bad-checksum      3\n"
            "  arp               12345\n");
}

TEST(Counters, AllZeroIsNoText) {
  const Counter zeros[] = {{"a", 0}, {"b", 0}};
  EXPECT_EQ(format_counters(zeros), "");
  EXPECT_EQ(format_counters({}), "");
}

}  // namespace
}  // namespace sluice::telemetry
