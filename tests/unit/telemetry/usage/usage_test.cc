#include "telemetry/usage/usage.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::telemetry {
namespace {

FlowRecord flow_to(const char* address, std::uint16_t port, std::string_view name = {}) {
  FlowRecord flow;
  flow.peer = {wire::parse_ip(address).value(), wire::Port{port}};
  flow.name = name;
  flow.bytes_to_host = 10;
  flow.bytes_to_guest = 20;
  return flow;
}

TEST(Usage, CountsByNameElseByAddress) {
  Usage usage;
  usage.add(flow_to("192.0.2.7", 443, "Example.ORG"));
  usage.add(flow_to("192.0.2.8", 443, "example.org"));
  usage.add(flow_to("203.0.113.9", 22));
  ASSERT_EQ(usage.rows().size(), 2u);
  const auto& named = usage.rows().at({"example.org", true, 443, policy::Protocol::kTcp});
  EXPECT_EQ(named.flows, 2u);
  EXPECT_EQ(named.bytes_to_guest, 40u);
  EXPECT_TRUE(usage.rows().contains({"203.0.113.9", false, 22, policy::Protocol::kTcp}));
}

TEST(Usage, WhatWasRefusedOrCameFromOutsideIsNone) {
  Usage usage;
  FlowRecord flow = flow_to("192.0.2.7", 443);
  flow.verdict = policy::Verdict::kHostAddress;
  usage.add(flow);
  flow = flow_to("192.0.2.7", 443);
  flow.direction = FlowDirection::kInbound;
  usage.add(flow);
  flow = flow_to("192.0.2.7", 443);
  flow.opening = true;
  usage.add(flow);
  EXPECT_TRUE(usage.rows().empty());
}

TEST(Usage, WhatNobodyAnsweredIsTold) {
  Usage usage;
  FlowRecord flow = flow_to("192.0.2.7", 443, "a.test");
  flow.outcome = policy::Outcome::kRefused;
  flow.bytes_to_guest = 0;
  usage.add(flow);
  usage.add(flow_to("192.0.2.7", 443, "a.test"));
  const auto& row = usage.rows().begin()->second;
  EXPECT_EQ(row.flows, 2u);
  EXPECT_EQ(row.failed, 1u);
}

TEST(Usage, ANameKeepsThePrivateAddressesThatItLedTo) {
  Usage usage;
  usage.add(flow_to("10.1.2.3", 443, "jira.corp.test"));
  usage.add(flow_to("10.1.2.3", 443, "jira.corp.test"));
  usage.add(flow_to("1.1.1.1", 443, "jira.corp.test"));
  EXPECT_EQ(usage.rows().begin()->second.private_addresses.size(), 1u);
}

TEST(Usage, IsBounded) {
  Usage usage;
  for (std::size_t i = 0; i < Usage::kRowsMax + 5; ++i) {
    usage.add(flow_to("192.0.2.7", 443, std::to_string(i) + ".test"));
  }
  EXPECT_EQ(usage.rows().size(), Usage::kRowsMax);
  EXPECT_EQ(usage.left_out(), 5u);
  usage.add(flow_to("192.0.2.7", 443, "0.test"));
  EXPECT_EQ(usage.left_out(), 5u) << "a row that is there has room";
}

}  // namespace
}  // namespace sluice::telemetry
