#include "wire/address.h"

#include <gtest/gtest.h>

#include "unit/wire/wire_testing.h"

namespace sluice::wire {
namespace {

TEST(Address, TextOfBothFamilies) {
  EXPECT_EQ(to_string(ip("10.0.2.15")), "10.0.2.15");
  EXPECT_EQ(to_string(ip("FD00:0:0::01")), "fd00::1");
  EXPECT_EQ(to_string(ip("::")), "::");
  EXPECT_EQ(ip("10.0.2.15").v4_value(), 0x0a00020fU);
  EXPECT_TRUE(ip("10.0.2.15").is_v4());
  EXPECT_FALSE(ip("fd00::1").is_v4());
}

TEST(Address, MappedTextIsIpv4) { EXPECT_EQ(ip("::ffff:192.0.2.1"), ip("192.0.2.1")); }

TEST(Address, RefusesWhatIsNoAddress) {
  for (const std::string_view text :
       {"", "10.0.2", "10.0.2.256", "10.0.2.1 ", " 10.0.2.1", "1.2.3.4.5", "fe80::1%eth0",
        "::1::", "12345::", "host", "10.0.2.1/24",
        "0000:0000:0000:0000:0000:0000:0000:0000:0000:00000000"}) {
    EXPECT_FALSE(parse_ip(text).has_value()) << text;
  }
  EXPECT_FALSE(parse_ip(std::string_view("10.0.2.1\0", 9)).has_value());
}

TEST(Address, Mac) {
  EXPECT_EQ(to_string(mac("52:54:00:AB:cd:01")), "52:54:00:ab:cd:01");
  EXPECT_TRUE(kBroadcastMac.is_multicast());
  EXPECT_FALSE(mac("52:54:00:ab:cd:01").is_multicast());
  for (const std::string_view text : {"", "52:54:00:12:34", "52:54:00:12:34:5", "52:54:00:12:34:5g",
                                      "52-54-00-12-34-56", "52:54:00:12:34:56:78"}) {
    EXPECT_FALSE(parse_mac(text).has_value()) << text;
  }
}

TEST(Address, PrefixClearsHostBits) {
  EXPECT_EQ(to_string(parse_prefix("10.1.2.3/8").value()), "10.0.0.0/8");
  EXPECT_EQ(to_string(parse_prefix("10.1.2.3").value()), "10.1.2.3/32");
  EXPECT_EQ(to_string(parse_prefix("0.0.0.0/0").value()), "0.0.0.0/0");
  EXPECT_EQ(to_string(parse_prefix("fd00:1:2:3::4/33").value()), "fd00:1::/33");
  EXPECT_EQ(to_string(parse_prefix("fd00::1").value()), "fd00::1/128");
}

TEST(Address, PrefixErrorsSayWhatIsWrong) {
  EXPECT_EQ(parse_prefix("10.0.0.0/33").error(), AddressError::kPrefixLength);
  EXPECT_EQ(parse_prefix("fd00::/129").error(), AddressError::kPrefixLength);
  EXPECT_EQ(parse_prefix("10.0.0.0/").error(), AddressError::kPrefixLength);
  EXPECT_EQ(parse_prefix("10.0.0.0/-1").error(), AddressError::kPrefixLength);
  EXPECT_EQ(parse_prefix("10.0.0.0/8x").error(), AddressError::kPrefixLength);
  EXPECT_EQ(parse_prefix("ten/8").error(), AddressError::kMalformed);
}

TEST(Address, PrefixContainsItsFamilyOnly) {
  const Prefix v4 = parse_prefix("10.0.2.128/25").value();
  EXPECT_TRUE(v4.contains(ip("10.0.2.128")));
  EXPECT_TRUE(v4.contains(ip("10.0.2.255")));
  EXPECT_FALSE(v4.contains(ip("10.0.2.127")));
  EXPECT_FALSE(v4.contains(ip("10.0.3.128")));
  const Prefix all_v6 = parse_prefix("::/0").value();
  EXPECT_TRUE(all_v6.contains(ip("fd00::1")));
  EXPECT_FALSE(all_v6.contains(ip("10.0.2.128")));
  EXPECT_FALSE(parse_prefix("0.0.0.0/0").value().contains(ip("fd00::1")));
}

TEST(Address, Endpoints) {
  EXPECT_EQ(to_string(parse_endpoint("10.0.0.1:80").value()), "10.0.0.1:80");
  EXPECT_EQ(to_string(parse_endpoint("[fd00::1]:65535").value()), "[fd00::1]:65535");
  EXPECT_EQ(parse_endpoint("10.0.0.1:65536").error(), AddressError::kPortRange);
  for (const std::string_view text : {"10.0.0.1", "10.0.0.1:", ":80", "fd00::1:80", "[fd00::1]80",
                                      "10.0.0.1:+1", "10.0.0.1:http", "[]:1"}) {
    EXPECT_EQ(parse_endpoint(text).error(), AddressError::kMalformed) << text;
  }
}

TEST(Address, Kinds) {
  EXPECT_TRUE(ip("0.0.0.0").is_unspecified());
  EXPECT_TRUE(ip("::").is_unspecified());
  EXPECT_FALSE(ip("::1").is_unspecified());
  EXPECT_TRUE(ip("127.255.0.1").is_loopback());
  EXPECT_TRUE(ip("::1").is_loopback());
  EXPECT_FALSE(ip("::2").is_loopback());
  EXPECT_FALSE(ip("128.0.0.1").is_loopback());
  EXPECT_TRUE(ip("239.1.2.3").is_multicast());
  EXPECT_TRUE(ip("ff02::1").is_multicast());
  EXPECT_FALSE(ip("240.0.0.1").is_multicast());
  EXPECT_TRUE(ip("169.254.169.254").is_link_local());
  EXPECT_TRUE(ip("fe80::1").is_link_local());
  EXPECT_TRUE(ip("febf::1").is_link_local());
  EXPECT_FALSE(ip("fec0::1").is_link_local());
  EXPECT_TRUE(ip("255.255.255.255").is_v4_broadcast());
  EXPECT_FALSE(ip("255.255.255.254").is_v4_broadcast());
}

}  // namespace
}  // namespace sluice::wire
