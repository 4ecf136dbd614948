#include "policy/rule.h"

#include <gtest/gtest.h>

namespace sluice::policy {
namespace {

std::string round_trip(std::string_view text) {
  const auto rule = parse_rule(text);
  return rule ? to_string(*rule) : "error: " + rule.error().expected;
}

TEST(Rule, TakesEveryFormOfPrefixAndPorts) {
  EXPECT_EQ(round_trip("10.0.0.0/8"), "10.0.0.0/8");
  EXPECT_EQ(round_trip("10.0.0.0/8:*"), "10.0.0.0/8");
  EXPECT_EQ(round_trip("10.0.0.0/8:"), "10.0.0.0/8");
  EXPECT_EQ(round_trip("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(round_trip("192.0.2.1:80"), "192.0.2.1:80");
  EXPECT_EQ(round_trip("10.0.0.0/8:22,80-90"), "10.0.0.0/8:22,80-90");
  EXPECT_EQ(round_trip("fd00::1"), "fd00::1");
  EXPECT_EQ(round_trip("fd00::/8"), "fd00::/8");
  EXPECT_EQ(round_trip("fd00::/8:443"), "[fd00::]/8:443");
  EXPECT_EQ(round_trip("[fd00::]/8:443"), "[fd00::]/8:443");
  EXPECT_EQ(round_trip("[fd00::]/8"), "fd00::/8");
  EXPECT_EQ(round_trip("[fd00::1]:443"), "[fd00::1]:443");
  EXPECT_EQ(round_trip("[fd00::1]"), "fd00::1");
  EXPECT_EQ(round_trip("::/0"), "::/0");
  EXPECT_EQ(round_trip("0.0.0.0/0"), "0.0.0.0/0");
}

TEST(Rule, TakesAProtocol) {
  EXPECT_EQ(round_trip("10.0.0.0/8:53/udp"), "10.0.0.0/8:53/udp");
  EXPECT_EQ(round_trip("10.0.0.1/tcp"), "10.0.0.1/tcp");
  EXPECT_EQ(round_trip("fd00::/8/icmp"), "fd00::/8/icmp");
  EXPECT_EQ(round_trip("[fd00::1]:443/tcp"), "[fd00::1]:443/tcp");
  for (const char* text : {"10.0.0.1/sctp", "10.0.0.1:80/icmp", "10.0.0.1/", "10.0.0.1/8/8"}) {
    EXPECT_FALSE(parse_rule(text).has_value()) << text;
  }
}

TEST(Rule, ClearsHostBits) { EXPECT_EQ(round_trip("10.1.2.3/8"), "10.0.0.0/8"); }

TEST(Rule, SortsAndMergesPorts) {
  EXPECT_EQ(round_trip("10.0.0.1:90,80-85,22,86,84-88"), "10.0.0.1:22,80-88,90");
  EXPECT_EQ(round_trip("10.0.0.1:65535,65534"), "10.0.0.1:65534-65535");
}

TEST(Rule, SaysWhatItExpected) {
  for (const char* text : {"10.0.0.0/8:0", "10.0.0.0/8:65536", "10.0.0.0/8:90-80", "10.0.0.0/8:80,",
                           "10.0.0.0/8:,80", "10.0.0.0/8:80-", "10.0.0.0/8:-80", "10.0.0.0/8: 80",
                           "10.0.0.0/8:+80", "10.0.0.0/8:http", "[fd00::1]:80:90"}) {
    EXPECT_EQ(round_trip(text), "error: ports as 80, 80-90 or 22,80-90, each from 1 to 65535")
        << text;
  }
  EXPECT_EQ(round_trip("10.0.0.0/33"),
            "error: a prefix length from 0 to 32 (IPv4) or from 0 to 128 (IPv6)");
  EXPECT_EQ(round_trip("fd00::/129"),
            "error: a prefix length from 0 to 32 (IPv4) or from 0 to 128 (IPv6)");
  for (const char* text : {"", ":", "/8", "10.0.0/8", "example.org", "10.0.0.0.0", ":80"}) {
    EXPECT_EQ(round_trip(text),
              "error: CIDR[:PORTS] as 10.0.0.0/8, 192.0.2.1:80 or [fd00::]/8:22,80-90")
        << text;
  }
  for (const char* text : {"[", "[]", "[fd00::", "[10.0.0.1]:80", "[fd00::/8]:80", "[fd00::]x"}) {
    EXPECT_EQ(round_trip(text), "error: an IPv6 range in brackets as [fd00::]/8:443") << text;
  }
}

TEST(Rule, CountsPorts) {
  EXPECT_EQ(parse_rule("10.0.0.1").value().port_count(), 65'536u);
  EXPECT_EQ(parse_rule("10.0.0.1:22,80-90").value().port_count(), 12u);
  EXPECT_EQ(parse_rule("10.0.0.1:1-65535").value().port_count(), 65'535u);
}

}  // namespace
}  // namespace sluice::policy
