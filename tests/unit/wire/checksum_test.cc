#include "wire/checksum.h"

#include <gtest/gtest.h>

#include "unit/wire/wire_testing.h"

namespace sluice::wire {
namespace {

TEST(Checksum, ExampleOfRfc1071) {
  const Bytes bytes = from_hex("0001 f203 f4f5 f6f7");
  EXPECT_EQ(checksum_fold(checksum_add(0, bytes)), 0xddf2);
}

TEST(Checksum, OddLengthIsPaddedWithZero) {
  EXPECT_EQ(checksum_add(0, from_hex("12")), 0x1200U);
  EXPECT_EQ(checksum_add(0, from_hex("1234 56")), 0x1234U + 0x5600U);
  EXPECT_EQ(checksum_add(7, {}), 7U);
}

// The worst case for carries: every word 0xffff.
TEST(Checksum, LargestPayloadOfOnes) {
  const Bytes ones(65536, 0xff);
  EXPECT_EQ(checksum_finish(checksum_add(0, ones)), 0);
}

TEST(Checksum, ResultIsTheSameAtEveryAlignment) {
  Bytes bytes(80);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 37 + 11);
  const ByteView view(bytes);
  for (std::size_t start = 0; start < 9; ++start) {
    const Bytes moved = copy_of(view.subspan(start, 67));
    EXPECT_EQ(checksum_add(0, view.subspan(start, 67)), checksum_add(0, moved)) << start;
  }
}

// 192.0.2.1 → 198.51.100.2, UDP, 20 bytes, summed by hand.
TEST(Checksum, PseudoHeaderOfIpv4) {
  const std::uint32_t by_hand = 0xc000 + 0x0201 + 0xc633 + 0x6402 + 17 + 20;
  EXPECT_EQ(
      checksum_fold(pseudo_header_sum(ip("192.0.2.1"), ip("198.51.100.2"), IpProtocol::kUdp, 20)),
      checksum_fold(by_hand));
}

TEST(Checksum, PseudoHeaderOfIpv6WithLongLength) {
  const std::uint32_t by_hand = 0xfd00 + 0x0001 + 0xfd00 + 0x0002 + 58 + 0x0001 + 0x0005;
  EXPECT_EQ(
      checksum_fold(pseudo_header_sum(ip("fd00::1"), ip("fd00::2"), IpProtocol::kIcmpv6, 0x1'0005)),
      checksum_fold(by_hand));
}

// The example of RFC 1624, section 4: a result of 0x0000, where equation 2 gives 0xffff.
TEST(Checksum, IncrementalUpdateExampleOfRfc1624) {
  EXPECT_EQ(checksum_update16(0xdd2f, 0x5555, 0x3285), 0x0000);
}

TEST(Checksum, UdpNeverSendsZero) {
  EXPECT_EQ(checksum_finish_udp(0xffff), 0xffff);
  EXPECT_EQ(checksum_finish_udp(0x1234), static_cast<std::uint16_t>(~0x1234));
}

}  // namespace
}  // namespace sluice::wire
