#include "wire/ip/nat64.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::wire {
namespace {

TEST(Nat64, ThePrefixIsInTheAnswerForIpv4OnlyArpa) {
  EXPECT_EQ(nat64_prefix_of(parse_ip("2001:db8:1::192.0.0.170").value()),
            parse_prefix("2001:db8:1::/96").value());
  EXPECT_EQ(nat64_prefix_of(parse_ip("64:ff9b::c000:ab").value()),
            parse_prefix("64:ff9b::/96").value());
  EXPECT_EQ(nat64_prefix_of(parse_ip("2001:db8:c000:aa::").value()),
            parse_prefix("2001:db8::/32").value());
  EXPECT_EQ(nat64_prefix_of(parse_ip("2001:db8::1").value()), std::nullopt);
  EXPECT_EQ(nat64_prefix_of(parse_ip("192.0.0.170").value()), std::nullopt);
}

std::vector<std::uint8_t> pref64(std::uint8_t length_code) {
  // 2001:db8:64::, for 600 s.
  return {38,   2,    0x02, static_cast<std::uint8_t>(0x58 | length_code),
          0x20, 0x01, 0x0d, 0xb8,
          0,    0x64, 0,    0,
          0,    0,    0,    0};
}

TEST(Nat64, ARouterTellsThePrefix) {
  EXPECT_EQ(nat64_prefix_in_option(pref64(0)), parse_prefix("2001:db8:64::/96").value());
  EXPECT_EQ(nat64_prefix_in_option(pref64(1)), parse_prefix("2001:db8:64::/64").value());
  EXPECT_EQ(nat64_prefix_in_option(pref64(5)), parse_prefix("2001:db8::/32").value());
  EXPECT_EQ(nat64_prefix_in_option(pref64(6)), std::nullopt);
  auto other = pref64(0);
  other[0] = 25;
  EXPECT_EQ(nat64_prefix_in_option(other), std::nullopt);
  for (std::size_t size = 0; size < 16; ++size) {
    EXPECT_EQ(nat64_prefix_in_option(ByteView(pref64(0)).first(size)), std::nullopt);
  }
}

}  // namespace
}  // namespace sluice::wire
