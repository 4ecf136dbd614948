#include "flow/ip/fragment_reassembly.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/prng.h"

namespace sluice::flow {
namespace {

using namespace std::chrono_literals;
using wire::IpAddress;
using wire::IpProtocol;

constexpr Instant kStart{100s};

IpAddress v6(std::uint8_t last) {
  std::array<std::uint8_t, 16> octets{0xfd};
  octets[15] = last;
  return IpAddress::v6(FixedView<16>(octets));
}

std::vector<std::uint8_t> numbered(std::size_t length) {
  std::vector<std::uint8_t> bytes(length);
  for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  return bytes;
}

Fragment piece_v4(ByteView whole, std::size_t offset, std::size_t length, std::uint32_t id = 1) {
  return {.source = IpAddress::v4(0x0a00'020f),
          .destination = IpAddress::v4(0x0102'0304),
          .id = id,
          .protocol = IpProtocol::kUdp,
          .hop_limit = 64,
          .offset = offset,
          .more = offset + length < whole.size(),
          .payload = whole.subspan(offset, length)};
}

Fragment piece_v6(ByteView whole, std::size_t offset, std::size_t length, std::uint32_t id = 1) {
  Fragment f = piece_v4(whole, offset, length, id);
  f.source = v6(0x15);
  f.destination = v6(0x99);
  return f;
}

TEST(FragmentReassembly, InOrder) {
  FragmentReassembly table;
  const auto whole = numbered(3000);
  EXPECT_EQ(table.add(piece_v4(whole, 0, 1480), kStart).outcome, FragmentOutcome::kStored);
  EXPECT_EQ(table.add(piece_v4(whole, 1480, 1480), kStart).outcome, FragmentOutcome::kStored);
  const auto result = table.add(piece_v4(whole, 2960, 40), kStart);
  ASSERT_EQ(result.outcome, FragmentOutcome::kComplete);
  ASSERT_TRUE(result.datagram.has_value());
  EXPECT_EQ(result.datagram->bytes, whole);
  EXPECT_EQ(result.datagram->protocol, IpProtocol::kUdp);
  EXPECT_EQ(result.datagram->destination, IpAddress::v4(0x0102'0304));
  EXPECT_EQ(table.pending(), 0u);
  EXPECT_EQ(table.bytes_held(), 0u);
  EXPECT_EQ(table.next_deadline(), kNever);
}

TEST(FragmentReassembly, ReversedAndInterleaved) {
  FragmentReassembly table;
  const auto one = numbered(2001);
  auto two = numbered(1999);
  std::ranges::reverse(two);
  EXPECT_EQ(table.add(piece_v6(one, 1992, 9, 1), kStart).outcome, FragmentOutcome::kStored);
  EXPECT_EQ(table.add(piece_v6(two, 1000, 999, 2), kStart).outcome, FragmentOutcome::kStored);
  EXPECT_EQ(table.add(piece_v6(one, 1000, 992, 1), kStart).outcome, FragmentOutcome::kStored);
  const auto second = table.add(piece_v6(two, 0, 1000, 2), kStart);
  ASSERT_EQ(second.outcome, FragmentOutcome::kComplete);
  EXPECT_EQ(second.datagram->bytes, two);
  const auto first = table.add(piece_v6(one, 0, 1000, 1), kStart);
  ASSERT_EQ(first.outcome, FragmentOutcome::kComplete);
  EXPECT_EQ(first.datagram->bytes, one);
}

TEST(FragmentReassembly, HeaderFieldsComeFromTheFirstFragment) {
  FragmentReassembly table;
  const auto whole = numbered(32);
  Fragment tail = piece_v6(whole, 16, 16);
  tail.protocol =
      IpProtocol::kIcmp;  // RFC 8200, 4.5: only the first fragment's next header counts.
  tail.hop_limit = 3;
  EXPECT_EQ(table.add(tail, kStart).outcome, FragmentOutcome::kStored);
  Fragment head = piece_v6(whole, 0, 16);
  head.traffic_class = 8;
  const auto result = table.add(head, kStart);
  ASSERT_EQ(result.outcome, FragmentOutcome::kComplete);
  EXPECT_EQ(result.datagram->protocol, IpProtocol::kUdp);
  EXPECT_EQ(result.datagram->hop_limit, 64);
  EXPECT_EQ(result.datagram->traffic_class, 8);
}

TEST(FragmentReassembly, Ipv4KeysByProtocolToo) {
  FragmentReassembly table;
  const auto whole = numbered(32);
  Fragment icmp = piece_v4(whole, 16, 16);
  icmp.protocol = IpProtocol::kIcmp;
  EXPECT_EQ(table.add(piece_v4(whole, 0, 16), kStart).outcome, FragmentOutcome::kStored);
  EXPECT_EQ(table.add(icmp, kStart).outcome, FragmentOutcome::kStored);
  EXPECT_EQ(table.pending(), 2u);
}

TEST(FragmentReassembly, ExactRepeatIsIgnored) {
  FragmentReassembly table;
  const auto whole = numbered(48);
  EXPECT_EQ(table.add(piece_v4(whole, 16, 16), kStart).outcome, FragmentOutcome::kStored);
  EXPECT_EQ(table.add(piece_v4(whole, 16, 16), kStart).outcome, FragmentOutcome::kDuplicate);
  EXPECT_EQ(table.add(piece_v4(whole, 32, 16), kStart).outcome, FragmentOutcome::kStored);
  EXPECT_EQ(table.add(piece_v4(whole, 32, 16), kStart).outcome, FragmentOutcome::kDuplicate);
  EXPECT_EQ(table.add(piece_v4(whole, 0, 16), kStart).outcome, FragmentOutcome::kComplete);
}

// RFC 5722: an overlap ends the datagram, with the fragments that are still to come.
TEST(FragmentReassembly, OverlapDropsTheWholeDatagram) {
  for (const bool ipv6 : {false, true}) {
    FragmentReassembly table;
    const auto whole = numbered(64);
    const auto piece = ipv6 ? piece_v6 : piece_v4;
    EXPECT_EQ(table.add(piece(whole, 16, 16, 1), kStart).outcome, FragmentOutcome::kStored);
    auto other = whole;
    other[26] ^= 1;
    EXPECT_EQ(table.add(piece(other, 24, 16, 1), kStart).outcome, FragmentOutcome::kOverlap);
    EXPECT_EQ(table.bytes_held(), 0u);
    for (const std::size_t offset : {0u, 16u, 32u, 48u}) {
      EXPECT_EQ(table.add(piece(whole, offset, 16, 1), kStart).outcome, FragmentOutcome::kOverlap);
    }
  }
}

TEST(FragmentReassembly, SameRangeOtherBytesIsAnOverlap) {
  FragmentReassembly table;
  auto whole = numbered(64);
  EXPECT_EQ(table.add(piece_v4(whole, 16, 16), kStart).outcome, FragmentOutcome::kStored);
  whole[20] ^= 1;
  EXPECT_EQ(table.add(piece_v4(whole, 16, 16), kStart).outcome, FragmentOutcome::kOverlap);
}

TEST(FragmentReassembly, TwoEndsAreInconsistent) {
  const auto whole = numbered(64);
  {
    FragmentReassembly table;  // Data past the end.
    EXPECT_EQ(table.add(piece_v4(ByteView(whole).first(40), 32, 8), kStart).outcome,
              FragmentOutcome::kStored);
    EXPECT_EQ(table.add(piece_v4(whole, 48, 8), kStart).outcome, FragmentOutcome::kOverlap);
  }
  {
    FragmentReassembly table;  // An end before data that is already here.
    EXPECT_EQ(table.add(piece_v4(whole, 48, 8), kStart).outcome, FragmentOutcome::kStored);
    EXPECT_EQ(table.add(piece_v4(ByteView(whole).first(40), 32, 8), kStart).outcome,
              FragmentOutcome::kOverlap);
  }
  {
    FragmentReassembly table;  // Two different ends.
    EXPECT_EQ(table.add(piece_v4(whole, 56, 8), kStart).outcome, FragmentOutcome::kStored);
    EXPECT_EQ(table.add(piece_v4(ByteView(whole).first(40), 32, 8), kStart).outcome,
              FragmentOutcome::kOverlap);
  }
}

TEST(FragmentReassembly, BadLengthsAreRefused) {
  FragmentReassembly table;
  const auto whole = numbered(70'000);
  EXPECT_EQ(table.add(piece_v4(whole, 0, 12), kStart).outcome, FragmentOutcome::kBadLength);
  EXPECT_EQ(table.add(piece_v4(whole, 8, 0), kStart).outcome, FragmentOutcome::kBadLength);
  // Past the end of the largest datagram ("ping of death"): 65,535 less the IPv4 header.
  EXPECT_EQ(table.add(piece_v4(whole, 65'512, 8), kStart).outcome, FragmentOutcome::kBadLength);
  EXPECT_EQ(table.add(piece_v6(whole, 65'528, 8), kStart).outcome, FragmentOutcome::kBadLength);
  EXPECT_EQ(table.pending(), 0u);
  EXPECT_EQ(table.add(piece_v4(ByteView(whole).first(65'515), 65'512, 3), kStart).outcome,
            FragmentOutcome::kStored);
  EXPECT_EQ(table.add(piece_v6(ByteView(whole).first(65'535), 65'528, 7), kStart).outcome,
            FragmentOutcome::kStored);
}

TEST(FragmentReassembly, LargestDatagramRoundTrips) {
  FragmentReassembly table;
  const auto whole = numbered(65'515);
  FragmentReassembly::Result last{FragmentOutcome::kStored, std::nullopt};
  for (std::size_t offset = 0; offset < whole.size(); offset += 1480) {
    last = table.add(piece_v4(whole, offset, std::min<std::size_t>(1480, whole.size() - offset)),
                     kStart);
  }
  ASSERT_EQ(last.outcome, FragmentOutcome::kComplete);
  EXPECT_EQ(last.datagram->bytes, whole);
}

// RFC 6946: an atomic fragment is whole, whatever else carries its identification.
TEST(FragmentReassembly, AtomicFragmentIsWholeAtOnce) {
  FragmentReassembly table;
  const auto whole = numbered(64);
  EXPECT_EQ(table.add(piece_v6(whole, 0, 16), kStart).outcome, FragmentOutcome::kStored);
  const auto result = table.add(piece_v6(whole, 0, 64), kStart);
  ASSERT_EQ(result.outcome, FragmentOutcome::kComplete);
  EXPECT_EQ(result.datagram->bytes, whole);
  EXPECT_EQ(table.pending(), 1u);
}

TEST(FragmentReassembly, TimesOut) {
  FragmentReassembly table;
  const auto whole = numbered(64);
  EXPECT_EQ(table.add(piece_v4(whole, 0, 32), kStart).outcome, FragmentOutcome::kStored);
  EXPECT_EQ(table.add(piece_v6(whole, 0, 32), kStart).outcome, FragmentOutcome::kStored);
  EXPECT_EQ(table.next_deadline(), kStart + 30s);
  EXPECT_EQ(table.expire(kStart + 30s - 1ns), 0u);
  EXPECT_EQ(table.expire(kStart + 30s), 1u);
  EXPECT_EQ(table.next_deadline(), kStart + 60s);
  // Late: the first half is gone, so the second does not complete it.
  EXPECT_EQ(table.add(piece_v6(whole, 32, 32), kStart + 60s).outcome, FragmentOutcome::kStored);
  EXPECT_EQ(table.expire(kStart + 120s), 1u);
  EXPECT_EQ(table.bytes_held(), 0u);
}

TEST(FragmentReassembly, OldestDatagramMakesRoom) {
  FragmentReassembly table({.datagrams_max = 4, .bytes_max = 1U << 20U});
  const auto whole = numbered(64);
  for (std::uint32_t id = 0; id < 5; ++id) {
    EXPECT_EQ(table.add(piece_v4(whole, 0, 32, id), kStart).outcome, FragmentOutcome::kStored);
  }
  EXPECT_EQ(table.pending(), 4u);
  EXPECT_EQ(table.evicted(), 1u);
  EXPECT_EQ(table.add(piece_v4(whole, 32, 32, 4), kStart).outcome, FragmentOutcome::kComplete);
  EXPECT_EQ(table.add(piece_v4(whole, 32, 32, 1), kStart).outcome, FragmentOutcome::kComplete);
  EXPECT_EQ(table.add(piece_v4(whole, 32, 32, 0), kStart).outcome, FragmentOutcome::kStored);
}

TEST(FragmentReassembly, BytesStayBoundedUnderFlood) {
  const FragmentLimits limits{.datagrams_max = 64, .bytes_max = 300'000};
  FragmentReassembly table(limits);
  const auto whole = numbered(65'515);
  Prng prng(5);
  for (std::uint32_t i = 0; i < 5000; ++i) {
    const std::size_t offset = prng.below(8000) * 8;
    const bool ipv6 = prng.below(2) == 0;
    const auto id = static_cast<std::uint32_t>(prng.below(200));
    const Fragment f = ipv6 ? piece_v6(whole, offset, 1480, id) : piece_v4(whole, offset, 1480, id);
    (void)table.add(f, kStart + i * 1ms);
    ASSERT_LE(table.bytes_held(), limits.bytes_max);
    ASSERT_LE(table.pending(), limits.datagrams_max);
  }
  table.expire(kStart + 600s);
  EXPECT_EQ(table.bytes_held(), 0u);
  EXPECT_EQ(table.pending(), 0u);
}

TEST(FragmentReassembly, DatagramLargerThanTheBoundIsRefused) {
  FragmentReassembly table({.datagrams_max = 4, .bytes_max = 1000});
  const auto whole = numbered(4000);
  EXPECT_EQ(table.add(piece_v4(whole, 0, 800), kStart).outcome, FragmentOutcome::kStored);
  EXPECT_EQ(table.add(piece_v4(whole, 800, 800), kStart).outcome, FragmentOutcome::kNoRoom);
  EXPECT_EQ(table.bytes_held(), 0u);
  FragmentReassembly none({.datagrams_max = 0, .bytes_max = 1000});
  EXPECT_EQ(none.add(piece_v4(whole, 0, 800), kStart).outcome, FragmentOutcome::kNoRoom);
}

}  // namespace
}  // namespace sluice::flow
