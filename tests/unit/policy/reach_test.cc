#include "policy/reach.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::policy {
namespace {

std::vector<Rule> rules(std::initializer_list<std::string_view> texts) {
  std::vector<Rule> list;
  for (const std::string_view text : texts) list.push_back(parse_rule(text).value());
  return list;
}

struct Subject {
  Policy policy;
  Reach reach;
  Subject(std::initializer_list<std::string_view> deny,
          std::initializer_list<std::string_view> allow,
          HostAddresses host = HostAddresses::kRefused)
      : policy(rules(deny), rules(allow)), reach(policy, host) {}
  [[nodiscard]] Verdict operator()(std::string_view address, std::uint16_t port = 80,
                                   Protocol protocol = Protocol::kTcp) const {
    return reach.judge(protocol, {wire::parse_ip(address).value(), wire::Port{port}});
  }
};

// One IPv4 address in its clothes: its halves in hexadecimal, and the whole with bits turned over.
std::vector<std::string> clothed(std::string_view hex_high, std::string_view hex_low,
                                 std::string_view flipped) {
  const std::string v4 = std::string(hex_high) + ":" + std::string(hex_low);
  return {"::" + v4,
          "::ffff:0:" + v4,
          "64:ff9b::" + v4,
          "64:ff9b:1::" + v4,
          "2002:" + v4 + "::1",
          "2001:0:" + v4 + "::3fff:fdd2",
          "2001:0:c000:201::" + std::string(flipped),
          "2001:db8::5efe:" + v4};
}

TEST(Reach, MetadataOfEveryCloudIsRefused) {
  const Subject subject({}, {});
  for (const char* text :
       {"169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254",
        "fd00:ec2::23", "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fe80::a9fe:a9fe"}) {
    for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp, Protocol::kIcmp}) {
      EXPECT_EQ(subject(text, 80, protocol), Verdict::kDeniedByPolicy) << text;
    }
  }
  for (const char* text : {"100.100.100.201", "168.63.129.15", "192.0.0.193", "fd20:ce::253",
                           "fd00:c1::1", "fd00:ec3::254"}) {
    EXPECT_EQ(subject(text), Verdict::kAccepted) << text;
  }
}

TEST(Reach, IpsInEveryClothesAreJudgedAsWhatTheyAre) {
  const Subject plain({}, {});
  for (const std::string& text : clothed("a9fe", "a9fe", "5601:5601")) {
    EXPECT_EQ(plain(text), Verdict::kDeniedByPolicy) << text;
  }
  for (const std::string& text : clothed("7f00", "1", "80ff:fffe")) {
    EXPECT_EQ(plain(text), Verdict::kNotRoutable) << text;
  }
  const Subject ten({"10.0.0.0/8"}, {});
  for (const std::string& text : clothed("a00", "1", "f5ff:fffe")) {
    EXPECT_EQ(ten(text), Verdict::kDeniedByPolicy) << text;
    EXPECT_EQ(plain(text), Verdict::kAccepted) << text;
  }
}

TEST(Reach, PortsOfRulesCountInsideToo) {
  const Subject subject({"10.0.0.0/8:22"}, {});
  EXPECT_EQ(subject("64:ff9b::10.0.0.1", 22), Verdict::kDeniedByPolicy);
  EXPECT_EQ(subject("64:ff9b::10.0.0.1", 80), Verdict::kAccepted);
}

TEST(Reach, TheStricterOfOuterAndInnerCounts) {
  EXPECT_EQ(Subject({"::/0"}, {"10.0.0.1"})("64:ff9b::10.0.0.1"), Verdict::kDeniedByPolicy);
  EXPECT_EQ(Subject({"10.0.0.0/8"}, {"64:ff9b::/96"})("64:ff9b::10.0.0.1"),
            Verdict::kDeniedByPolicy);
  EXPECT_EQ(Subject({"10.0.0.0/8"}, {"10.0.0.1"})("64:ff9b::10.0.0.1"), Verdict::kAccepted);
  EXPECT_EQ(Subject({}, {"169.254.169.254"})("64:ff9b::a9fe:a9fe"), Verdict::kAccepted);
}

TEST(Reach, AnUnknownTranslatorDoesNotHideMetadata) {
  const Subject subject({}, {});
  EXPECT_EQ(subject("2001:db8:64::a9fe:a9fe"), Verdict::kDeniedByPolicy);
  EXPECT_EQ(subject("2001:db8:64::192.0.0.192"), Verdict::kDeniedByPolicy);
  EXPECT_EQ(subject("2001:db8:64::10.0.0.1"), Verdict::kAccepted);
}

TEST(Reach, ALearntTranslatorIsSeenThrough) {
  Subject subject({"10.0.0.0/8"}, {});
  EXPECT_EQ(subject("2001:db8:64::10.0.0.1"), Verdict::kAccepted);
  subject.reach.add_nat64_prefix(wire::parse_prefix("2001:db8:64::/96").value());
  EXPECT_EQ(subject("2001:db8:64::10.0.0.1"), Verdict::kDeniedByPolicy);
  EXPECT_EQ(subject("2001:db8:64::127.0.0.1"), Verdict::kNotRoutable);
  for (std::uint8_t i = 0; i < 20; ++i) {
    const std::string text = "2001:db8:" + std::to_string(i) + "::/96";
    subject.reach.add_nat64_prefix(wire::parse_prefix(text).value());
  }
  EXPECT_EQ(subject.reach.nat64_prefixes().size(), Reach::kNat64Max);
}

void move_in(Reach& reach, std::initializer_list<std::string_view> addresses) {
  std::vector<wire::IpAddress> list;
  for (const std::string_view text : addresses) list.push_back(wire::parse_ip(text).value());
  reach.set_host_addresses(std::move(list));
}

TEST(Reach, TheHostsOwnAddressesAreRefusedInAnyClothes) {
  Subject subject({}, {});
  move_in(subject.reach, {"192.0.2.7", "10.9.0.1", "2001:db8::7"});
  for (const char* text : {"192.0.2.7", "10.9.0.1", "2001:db8::7", "64:ff9b::192.0.2.7",
                           "2002:c000:207::1", "::192.0.2.7"}) {
    for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp, Protocol::kIcmp}) {
      EXPECT_EQ(subject(text, 80, protocol), Verdict::kHostAddress) << text;
    }
  }
  EXPECT_EQ(subject("192.0.2.8"), Verdict::kAccepted);
  // It moves: the old address is somebody else's now.
  move_in(subject.reach, {"192.0.2.9"});
  EXPECT_EQ(subject("192.0.2.7"), Verdict::kAccepted);
  EXPECT_EQ(subject("192.0.2.9"), Verdict::kHostAddress);
}

TEST(Reach, ARuleThatNamesItOpensAnAddressOfTheHost) {
  const auto judged = [](std::initializer_list<std::string_view> deny,
                         std::initializer_list<std::string_view> allow, std::uint16_t port = 80) {
    Subject subject(deny, allow);
    move_in(subject.reach, {"192.0.2.7"});
    return subject("192.0.2.7", port);
  };
  EXPECT_EQ(judged({}, {"192.0.2.7"}), Verdict::kAccepted);
  EXPECT_EQ(judged({}, {"192.0.2.0/24"}), Verdict::kAccepted);
  EXPECT_EQ(judged({}, {"0.0.0.0/0"}), Verdict::kHostAddress);
  EXPECT_EQ(judged({}, {"192.0.2.7:443"}, 443), Verdict::kAccepted);
  EXPECT_EQ(judged({}, {"192.0.2.7:443"}, 80), Verdict::kHostAddress);
  EXPECT_EQ(judged({"192.0.2.7"}, {"192.0.2.0/24"}), Verdict::kDeniedByPolicy);
  EXPECT_EQ(judged({"0.0.0.0/0"}, {"192.0.2.7"}), Verdict::kAccepted);
}

TEST(Reach, TheDefaultRefusesWhatNoRuleSpeaksOf) {
  const Policy policy({{.rule = parse_rule("10.0.0.0/8").value(), .effect = Effect::kAllow},
                       {.rule = parse_rule("64:ff9b::/96").value(), .effect = Effect::kAllow}},
                      Effect::kDeny);
  const Reach reach(policy);
  const auto judged = [&](std::string_view address) {
    return reach.judge(Protocol::kTcp, {wire::parse_ip(address).value(), wire::Port{80}});
  };
  EXPECT_EQ(judged("10.0.0.1"), Verdict::kAccepted);
  EXPECT_EQ(judged("192.0.2.1"), Verdict::kAddressUnlisted);
  EXPECT_EQ(judged("64:ff9b::10.0.0.1"), Verdict::kAccepted);
  EXPECT_EQ(judged("64:ff9b::192.0.2.1"), Verdict::kAddressUnlisted);
  EXPECT_EQ(judged("127.0.0.1"), Verdict::kNotRoutable);
}

TEST(Reach, TheFloorIsWhatNoNameOpens) {
  const Policy policy({{.rule = parse_rule("192.0.2.0/24").value(), .effect = Effect::kDeny},
                       {.rule = parse_rule("169.254.169.254").value(), .effect = Effect::kAllow},
                       {.rule = parse_rule("169.254.170.2").value(), .effect = Effect::kDeny},
                       {.rule = parse_rule("198.51.100.7:22").value(), .effect = Effect::kAsk}},
                      Effect::kDeny);
  Reach reach(policy);
  move_in(reach, {"198.51.100.7"});
  const auto floor = [&](std::string_view address, std::uint16_t port = 80) {
    return reach.look(Protocol::kTcp, {wire::parse_ip(address).value(), wire::Port{port}}).floor;
  };
  for (const char* text : {"127.0.0.1", "169.254.1.1", "168.63.129.16", "169.254.170.2", "fe80::1",
                           "64:ff9b::127.0.0.1", "2001:db8:64::a83f:8110"}) {
    EXPECT_TRUE(floor(text)) << text;
  }
  for (const char* text : {"192.0.2.1", "203.0.113.1", "10.0.0.1", "169.254.169.254"}) {
    EXPECT_FALSE(floor(text)) << text;
  }
  EXPECT_TRUE(floor("198.51.100.7"));
  EXPECT_FALSE(floor("198.51.100.7", 22));
  EXPECT_TRUE(
      reach.look(Protocol::kTcp, {wire::parse_ip("198.51.100.7").value(), wire::Port{22}}).ask);
}

TEST(Reach, AllOfTheHostIsOpenOnRequest) {
  Subject subject({"192.0.2.8"}, {}, HostAddresses::kOpen);
  move_in(subject.reach, {"192.0.2.7", "192.0.2.8"});
  EXPECT_EQ(subject("192.0.2.7"), Verdict::kAccepted);
  EXPECT_EQ(subject("64:ff9b::192.0.2.7"), Verdict::kAccepted);
  EXPECT_EQ(subject("192.0.2.8"), Verdict::kDeniedByPolicy);
}

}  // namespace
}  // namespace sluice::policy
