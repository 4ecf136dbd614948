#include "serve/learn/usage_text.h"

#include <gtest/gtest.h>

namespace sluice::serve {
namespace {

telemetry::Usage sample() {
  telemetry::Usage usage;
  usage.rows()[{"example.org", true, 443, policy::Protocol::kTcp}] = {
      .flows = 3,
      .failed = 1,
      .bytes_to_host = 10,
      .bytes_to_guest = 20,
      .private_addresses = {wire::parse_ip("10.1.2.3").value()}};
  usage.rows()[{"\xff\"\n", true, 53, policy::Protocol::kUdp}] = {.flows = 1};
  usage.leave_out(5);
  return usage;
}

TEST(UsageText, ComesBackAsItWas) {
  const std::string lines = usage_lines(sample());
  const auto again = read_usage(lines);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->rows().size(), 2u);
  EXPECT_EQ(again->left_out(), 5u);
  const auto& row = again->rows().at({"example.org", true, 443, policy::Protocol::kTcp});
  EXPECT_EQ(row.flows, 3u);
  EXPECT_EQ(row.private_addresses.size(), 1u);
}

TEST(UsageText, APartIsNone) {
  const std::string lines = usage_lines(sample());
  EXPECT_FALSE(read_usage("").has_value());
  EXPECT_FALSE(read_usage(std::string_view(lines).substr(0, lines.size() / 2)).has_value());
}

}  // namespace
}  // namespace sluice::serve
