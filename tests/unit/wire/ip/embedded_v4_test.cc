#include "wire/ip/embedded_v4.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace sluice::wire {
namespace {

std::vector<std::string> inside(std::string_view text, std::vector<Prefix> nat64 = {}) {
  std::vector<std::string> found;
  for (const IpAddress& address : EmbeddedV4(parse_ip(text).value(), nat64)) {
    found.push_back(to_string(address));
  }
  return found;
}

using List = std::vector<std::string>;

TEST(EmbeddedV4, KnowsEveryFormThatNamesOne) {
  EXPECT_EQ(inside("::10.1.2.3"), List{"10.1.2.3"});
  EXPECT_EQ(inside("::ffff:0:10.1.2.3"), List{"10.1.2.3"});
  EXPECT_EQ(inside("64:ff9b::10.1.2.3"), List{"10.1.2.3"});
  EXPECT_EQ(inside("2002:a01:203:5::7"), List{"10.1.2.3"});
  EXPECT_EQ(inside("2001:db8::5efe:10.1.2.3"), List{"10.1.2.3"});
  EXPECT_EQ(inside("2001:db8::200:5efe:a01:203"), List{"10.1.2.3"});
}

TEST(EmbeddedV4, ATeredoAddressNamesItsServerAndItsClient) {
  // RFC 4380, 4: the client's address is written with its bits turned over.
  EXPECT_EQ(inside("2001:0:4136:e378:8000:63bf:3fff:fdd2"), (List{"65.54.227.120", "192.0.2.45"}));
}

// What is read in the lengths that the network did not mean is judged too: it can only be stricter.
TEST(EmbeddedV4, LocalNat64IsReadInEveryLength) {
  for (const char* text : {"64:ff9b:1:a01:2:300::", "64:ff9b:1:a:1:203::",
                           "64:ff9b:1:0:a:102:300::", "64:ff9b:1::10.1.2.3"}) {
    const List found = inside(text);
    EXPECT_EQ(std::count(found.begin(), found.end(), "10.1.2.3"), 1) << text;
  }
  EXPECT_EQ(inside("64:ff9b:1::10.1.2.3"), List{"10.1.2.3"});
  EXPECT_EQ(inside("64:ff9b:1::"), List{"0.0.0.0"});
}

TEST(EmbeddedV4, ANetworksOwnPrefixIsReadAsRfc6052Says) {
  // The table of RFC 6052, 2.4.
  const std::pair<const char*, const char*> rows[]{
      {"2001:db8::/32", "2001:db8:c000:221::"},
      {"2001:db8:100::/40", "2001:db8:1c0:2:21::"},
      {"2001:db8:122::/48", "2001:db8:122:c000:2:2100::"},
      {"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"},
      {"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"},
      {"2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"}};
  for (const auto& [prefix, address] : rows) {
    EXPECT_EQ(inside(address, {parse_prefix(prefix).value()}), List{"192.0.2.33"}) << prefix;
    EXPECT_EQ(inside(address), List{}) << prefix;
    EXPECT_EQ(inside("2001:dead::1", {parse_prefix(prefix).value()}), List{}) << prefix;
  }
}

TEST(EmbeddedV4, OrdinaryAddressesCarryNone) {
  for (const char* text :
       {"10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1", "fe80::1", "fd00::2", "64:ff9a::1",
        "64:ff9b:2::1", "2001:1::1", "2003::1", "2001:db8::400:5efe:a01:203"}) {
    EXPECT_EQ(inside(text), List{}) << text;
  }
}

}  // namespace
}  // namespace sluice::wire
