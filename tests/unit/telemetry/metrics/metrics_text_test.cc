#include "telemetry/metrics/metrics_text.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace sluice::telemetry {
namespace {

using policy::Protocol;
using policy::Verdict;

class MetricsText : public testing::Test {
 protected:
  [[nodiscard]] std::string text() const {
    fmt::memory_buffer out;
    append_metrics(out, {.program = "sluice run",
                         .version = "1.2",
                         .totals = totals,
                         .snapshot = snapshot,
                         .generation = 3,
                         .rules = 4,
                         .events_lost = 5});
    return fmt::to_string(out);
  }
  [[nodiscard]] bool has(const std::string& line) const {
    return ("\n" + text()).find("\n" + line + "\n") != std::string::npos;
  }

  Totals totals;
  Snapshot snapshot;
};

TEST_F(MetricsText, FlowsAreToldByWhatWasDecided) {
  totals.ended.count(Protocol::kTcp, Verdict::kNameUnlisted);
  totals.ended.count(Protocol::kUdp, Verdict::kRevoked);
  EXPECT_TRUE(has(R"(sluice_flows_total{proto="tcp",verdict="accepted",reason="accepted"} 0)"));
  EXPECT_TRUE(has(R"(sluice_flows_total{proto="tcp",verdict="refused",reason="name-unlisted"} 1)"));
  EXPECT_TRUE(has(R"(sluice_flows_total{proto="udp",verdict="revoked",reason="revoked"} 1)"));
  EXPECT_EQ(text().find("quota"), std::string::npos);
}

TEST_F(MetricsText, WhatTheKernelMovedIsNotTheTaps) {
  totals.bytes = {100, 50};
  totals.carried = {60, 50};
  totals.open[0] = {2, 1};
  EXPECT_TRUE(has(R"(sluice_bytes_total{direction="to_host",path="tap"} 40)"));
  EXPECT_TRUE(has(R"(sluice_bytes_total{direction="to_host",path="kernel"} 60)"));
  EXPECT_TRUE(has(R"(sluice_bytes_total{direction="to_guest",path="tap"} 0)"));
  EXPECT_TRUE(has(R"(sluice_flows_open{proto="tcp",path="kernel"} 1)"));
  EXPECT_EQ(text().find(R"(proto="udp",path="kernel")"), std::string::npos);
}

TEST_F(MetricsText, CountersHaveTheirLabels) {
  totals.dns = {{"", "cached", 8}};
  totals.gate = {{"tls", "refused", 2}};
  totals.handed_over = 6;
  totals.pins = 9;
  snapshot.drops = {{"malformed", 7}};
  EXPECT_TRUE(has(R"(sluice_dns_queries_total{result="cached"} 8)"));
  EXPECT_TRUE(has(R"(sluice_gate_total{kind="tls",result="refused"} 2)"));
  EXPECT_TRUE(has(R"(sluice_drops_total{reason="malformed"} 7)"));
  EXPECT_TRUE(has(R"(sluice_hand_overs_total{result="done"} 6)"));
  EXPECT_TRUE(has("sluice_pins 9"));
  EXPECT_TRUE(has("sluice_policy_generation 3"));
  EXPECT_TRUE(has("sluice_policy_rules 4"));
  EXPECT_TRUE(has("sluice_events_lost_total 5"));
  EXPECT_TRUE(has(R"(sluice_build_info{version="1.2",program="sluice run"} 1)"));
}

// A series that stands there twice spoils the whole answer for Prometheus.
TEST_F(MetricsText, NoSeriesStandsThereTwice) {
  for (std::size_t i = 0; i < policy::kVerdictCount; ++i) {
    for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp, Protocol::kIcmp}) {
      totals.ended.count(protocol, static_cast<Verdict>(i));
    }
  }
  const std::string all = text();
  std::set<std::string> seen;
  for (std::size_t begin = 0; begin < all.size();) {
    const std::size_t end = all.find('\n', begin);
    const std::string line = all.substr(begin, end - begin);
    EXPECT_TRUE(seen.insert(line.substr(0, line.rfind(' '))).second) << line;
    begin = end + 1;
  }
}

}  // namespace
}  // namespace sluice::telemetry
