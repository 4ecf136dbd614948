#include "policy/egress/egress_target.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::policy {
namespace {

std::string round_trip(std::string_view text) {
  const auto target = parse_egress_target(text);
  return target ? to_string(*target) : "error: " + target.error().expected;
}

// What a rule speaks of: "80,443/tcp"; "*" for every port.
std::string scope_text(std::string_view text, Effect effect) {
  const PortScope scope = scope_of(parse_egress_target(text).value(), effect);
  std::string result = scope.ports.empty() ? "*" : to_string(std::span(scope.ports));
  if (scope.protocol) result += "/" + std::string(to_string(*scope.protocol));
  return result;
}

TEST(EgressTarget, IsANameAnAddressOrAGroup) {
  for (const char* text : {"example.com",
                           "example.com:443",
                           "*.example.com:22,80-90/tcp",
                           "ping.example/icmp",
                           "example.com:*",
                           "example.com:*/udp",
                           "example.com:443/udp",
                           "*",
                           "*:443",
                           "10.0.0.0/8",
                           "10.0.0.1:80",
                           "10.0.0.1:53/udp",
                           "10.0.0.0/8/icmp",
                           "fd00::/8/tcp",
                           "[fd00::]/8:443",
                           "[fd00::1]:443/tcp",
                           "@public",
                           "@public:443",
                           "@host:5432/tcp",
                           "@link-local/icmp",
                           "@private",
                           "@loopback",
                           "@gateway",
                           "@metadata",
                           "7.example.com"}) {
    EXPECT_EQ(round_trip(text), text);
  }
  EXPECT_EQ(round_trip("Example.com.:90,80-89"), "example.com:80-90");
  EXPECT_EQ(round_trip("@public:*"), "@public");
  EXPECT_EQ(round_trip("10.0.0.1:*"), "10.0.0.1");
}

TEST(EgressTarget, RefusesWhatIsNone) {
  for (const char* text : {"",
                           ":443",
                           "/tcp",
                           "example.com:",
                           "example.com:0",
                           "example.com:http",
                           "example.com/sctp",
                           "example.com:80/icmp",
                           "10.0.0.1:80/icmp",
                           "example.com/udp",
                           "@lan",
                           "@",
                           "@public:",
                           "10.0.0.256",
                           "10.0.0",
                           "example.com:80:90",
                           "http://example.com",
                           "example.com:80/",
                           "example.com/TCP",
                           "[example.com]:80"}) {
    EXPECT_FALSE(parse_egress_target(text).has_value()) << text;
  }
}

TEST(EgressTarget, ANameLetsThroughNoMoreThanIsWritten) {
  EXPECT_EQ(scope_text("example.com", Effect::kAllow), "80,443/tcp");
  EXPECT_EQ(scope_text("example.com", Effect::kAsk), "80,443/tcp");
  EXPECT_EQ(scope_text("example.com/tcp", Effect::kAllow), "80,443/tcp");
  EXPECT_EQ(scope_text("example.com:22", Effect::kAllow), "22/tcp");
  EXPECT_EQ(scope_text("example.com:*", Effect::kAllow), "*/tcp");
  EXPECT_EQ(scope_text("example.com:*/udp", Effect::kAllow), "*/udp");
  EXPECT_EQ(scope_text("example.com/icmp", Effect::kAllow), "*/icmp");
  EXPECT_EQ(scope_text("10.0.0.1", Effect::kAllow), "*");
  EXPECT_EQ(scope_text("@public:443", Effect::kAllow), "443");
}

TEST(EgressTarget, ANameIsRefusedWhole) {
  EXPECT_EQ(scope_text("example.com", Effect::kDeny), "*");
  EXPECT_EQ(scope_text("example.com:443", Effect::kDeny), "443");
  EXPECT_EQ(scope_text("example.com/tcp", Effect::kDeny), "*/tcp");
}

TEST(EgressTarget, ANameWithoutPortsCountsAsAllOfThem) {
  const auto weight = [](std::string_view text, Effect effect) {
    return scope_of(parse_egress_target(text).value(), effect).ports_written;
  };
  EXPECT_EQ(weight("example.com", Effect::kAllow), 65'536u);
  EXPECT_EQ(weight("example.com", Effect::kDeny), 65'536u);
  EXPECT_EQ(weight("example.com:80,443", Effect::kAllow), 2u);
}

}  // namespace
}  // namespace sluice::policy
