#include "app/log/community_id.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

namespace sluice::app {
namespace {

std::string hex_of(std::string_view text) {
  std::string hex;
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  for (const std::uint8_t byte : sha1({bytes, text.size()})) hex += fmt::format("{:02x}", byte);
  return hex;
}

// FIPS 180-4's examples, and lengths about a block's end.
TEST(CommunityId, Sha1) {
  EXPECT_EQ(hex_of(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(hex_of("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(hex_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
  EXPECT_EQ(hex_of(std::string(1'000'000, 'a')), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

FlowTuple tuple(std::uint8_t protocol, const char* source, const char* destination) {
  return {protocol, wire::parse_endpoint(source).value(),
          wire::parse_endpoint(destination).value()};
}

// From the specification's baseline data.
TEST(CommunityId, IsTheSameAsOthersHaveAndInBothDirections) {
  EXPECT_EQ(community_id(tuple(6, "128.232.110.120:34855", "66.35.250.204:80")),
            "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
  EXPECT_EQ(community_id(tuple(6, "66.35.250.204:80", "128.232.110.120:34855")),
            "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
  EXPECT_EQ(community_id(tuple(17, "192.168.1.52:54585", "8.8.8.8:53")),
            "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
  EXPECT_EQ(community_id(tuple(1, "192.168.0.89:1", "192.168.0.1:1")),
            "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
}

}  // namespace
}  // namespace sluice::app
