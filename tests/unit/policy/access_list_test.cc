#include "policy/access_list.h"

#include <gtest/gtest.h>

#include <chrono>
#include <initializer_list>

namespace sluice::policy {
namespace {

wire::IpAddress ip(std::string_view text) { return wire::parse_ip(text).value(); }

bool matches(std::string_view pattern, std::string_view address) {
  const wire::IpAddress client = ip(address);
  return AddressPattern::parse(pattern).value().matches(client, wire::to_string(client));
}

std::string error_of(std::string_view pattern) {
  const auto parsed = AddressPattern::parse(pattern);
  return parsed ? "no error" : parsed.error().expected;
}

AccessList list(std::initializer_list<std::string_view> allow,
                std::initializer_list<std::string_view> deny) {
  AccessList made;
  for (const auto text : allow) made.allow.push_back(AddressPattern::parse(text).value());
  for (const auto text : deny) made.deny.push_back(AddressPattern::parse(text).value());
  return made;
}

TEST(AddressPattern, MatchesOneAddressHoweverItIsWritten) {
  EXPECT_TRUE(matches("192.0.2.7", "192.0.2.7"));
  EXPECT_FALSE(matches("192.0.2.7", "192.0.2.70"));
  EXPECT_TRUE(matches("2001:DB8:0::7", "2001:db8::7"));
  EXPECT_FALSE(matches("2001:db8::7", "2001:db8::8"));
}

TEST(AddressPattern, MatchesPrefixes) {
  EXPECT_TRUE(matches("10.0.0.0/8", "10.255.0.1"));
  EXPECT_FALSE(matches("10.0.0.0/8", "11.0.0.1"));
  EXPECT_TRUE(matches("2001:db8::/32", "2001:db8:ffff::1"));
  EXPECT_FALSE(matches("2001:db8::/32", "2001:db9::1"));
  EXPECT_TRUE(matches("0.0.0.0/0", "203.0.113.1"));
  EXPECT_FALSE(matches("0.0.0.0/0", "::1")) << "every IPv4 address is not every address";
}

TEST(AddressPattern, MatchesWildcardsOnText) {
  EXPECT_TRUE(matches("192.168.1.*", "192.168.1.200"));
  EXPECT_FALSE(matches("192.168.1.*", "192.168.10.2"));
  EXPECT_TRUE(matches("192.168.2.1?", "192.168.2.19"));
  EXPECT_FALSE(matches("192.168.2.1?", "192.168.2.1"));
  EXPECT_FALSE(matches("192.168.2.1?", "192.168.2.199"));
  EXPECT_TRUE(matches("*", "10.0.0.1"));
  EXPECT_TRUE(matches("*", "fe80::1"));
  EXPECT_TRUE(matches("*.7", "10.0.0.7"));
  EXPECT_FALSE(matches("*.7", "10.0.7.1"));
  EXPECT_TRUE(matches("1*0*.?", "10.20.0.1"));
  EXPECT_TRUE(matches("fe80:*", "fe80::1"));
  EXPECT_TRUE(matches("2001:618:*:e43f", "2001:618:400::54fc:e43f"));
  EXPECT_TRUE(matches("2001:618:*:E43F", "2001:618:400::54fc:e43f")) << "digits have no case";
  EXPECT_FALSE(matches("2001:618:*:e43f", "2001:618::e430"));
}

TEST(AddressPattern, TakesMappedAddressesForIpv4) {
  EXPECT_TRUE(matches("::ffff:10.*", "10.0.0.1"));
  EXPECT_TRUE(matches("::FFFF:10.0.0.1", "10.0.0.1"));
  EXPECT_TRUE(matches("10.*", "::ffff:10.0.0.1"));
}

TEST(AddressPattern, KeepsItsText) {
  EXPECT_EQ(AddressPattern::parse("FE80:*").value().text(), "FE80:*");
  EXPECT_EQ(AddressPattern::parse("10.1.2.3/8").value().text(), "10.1.2.3/8");
}

TEST(AddressPattern, RefusesWithWhatItExpected) {
  for (const char* text : {"", "host.example", "10.0.0", "10.0.0.1:80", "[::1]", "10.0.0.1 "}) {
    EXPECT_EQ(error_of(text),
              "an address, a prefix as 10.0.0.0/8, or wildcards as 192.168.1.*; names of hosts "
              "cannot be matched")
        << text;
  }
  EXPECT_EQ(error_of("10.0.0.0/33"), "a prefix length from 0 to 32 (IPv4) or from 0 to 128 (IPv6)");
  EXPECT_EQ(error_of("*.example"),
            "digits, '.', ':', '*' and '?' as 192.168.1.* or 2001:db8:*; names of hosts cannot be "
            "matched");
  EXPECT_EQ(error_of("10.*/8"),
            "either wildcards as 10.1.* or a prefix length as 10.1.0.0/16, not both");
  EXPECT_EQ(error_of(std::string(129, '*')), "at most 128 characters");
}

TEST(AddressPattern, ComparesAnyTextWhenToldTo) {
  const AddressPattern pattern = AddressPattern::wildcard("10.1");
  EXPECT_FALSE(pattern.matches(ip("10.1.0.1"), "10.1.0.1"));
  EXPECT_TRUE(AddressPattern::wildcard("10.1*").matches(ip("10.1.0.1"), "10.1.0.1"));
}

// A matcher that tries every star again would take longer than the universe has.
TEST(AddressPattern, HostilePatternsCostTheirLength) {
  std::string pattern;
  for (int i = 0; i < 63; ++i) pattern += "*1";
  pattern += 'f';
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(matches(pattern, "1111:1111:1111:1111:1111:1111:1111:1111"));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds{5});
}

TEST(Access, WithoutRulesEverybodyMayCome) {
  EXPECT_EQ(decide_access({}, {}, ip("203.0.113.1")), Access::kAllowed);
}

TEST(Access, AskedInRinetdsOrder) {
  const wire::IpAddress client = ip("10.0.0.1");
  const AccessList allows = list({"10.*"}, {});
  const AccessList allows_others = list({"11.*"}, {});
  const AccessList denies = list({}, {"10.*"});
  const AccessList both = list({"10.*"}, {"10.0.0.1"});

  EXPECT_EQ(decide_access(allows, {}, client), Access::kAllowed);
  EXPECT_EQ(decide_access(allows_others, {}, client), Access::kNotAllowed);
  EXPECT_EQ(decide_access(denies, {}, client), Access::kDenied);
  EXPECT_EQ(decide_access(both, {}, client), Access::kDenied);
  EXPECT_EQ(decide_access({}, allows_others, client), Access::kNotAllowed);
  EXPECT_EQ(decide_access({}, denies, client), Access::kDenied);
  EXPECT_EQ(decide_access({}, both, client), Access::kDenied);

  // The first list to refuse names the reason.
  EXPECT_EQ(decide_access(list({"11.*"}, {"10.*"}), denies, client), Access::kNotAllowed);
  EXPECT_EQ(decide_access(denies, allows_others, client), Access::kDenied);
  EXPECT_EQ(decide_access(allows, list({"11.*"}, {"10.*"}), client), Access::kNotAllowed);
  // Neither list lifts what the other refuses.
  EXPECT_EQ(decide_access(allows_others, allows, client), Access::kNotAllowed);
  EXPECT_EQ(decide_access(denies, allows, client), Access::kDenied);
}

TEST(Access, OnePatternOfSeveralIsEnough) {
  EXPECT_EQ(decide_access(list({"11.*", "10.*"}, {}), list({"12.*", "*"}, {"9.*"}), ip("10.0.0.1")),
            Access::kAllowed);
  EXPECT_EQ(decide_access({}, list({}, {"11.*", "10.*"}), ip("10.0.0.1")), Access::kDenied);
}

TEST(Access, WildcardsMayComeBehindPrefixes) {
  const AccessList prefixes = list({"10.0.0.0/8"}, {"10.9.0.0/16", "10.0.0.?", "10.0.0.0/30"});
  EXPECT_EQ(decide_access(prefixes, {}, ip("10.0.0.7")), Access::kDenied);
  EXPECT_EQ(decide_access(prefixes, {}, ip("10.0.0.17")), Access::kAllowed);
  EXPECT_EQ(decide_access(list({"10.0.0.0/8"}, {}), prefixes, ip("10.0.0.7")), Access::kDenied);
}

TEST(Access, DualStackClientIsIpv4) {
  EXPECT_EQ(decide_access(list({"10.0.0.0/8"}, {}), {}, ip("::ffff:10.1.2.3")), Access::kAllowed);
}

}  // namespace
}  // namespace sluice::policy
