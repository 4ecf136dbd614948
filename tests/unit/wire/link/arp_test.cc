#include "wire/link/arp.h"

#include <gtest/gtest.h>

#include "unit/wire/captured_frames.h"
#include "unit/wire/wire_testing.h"

namespace sluice::wire {
namespace {

TEST(Arp, CapturedRequestAndReply) {
  const Bytes request = cut_front(from_hex(captured::kArpRequest), 14);
  const ArpRepr expected{ArpOperation::kRequest, mac("52:54:00:12:34:56"), ip("10.9.0.15"),
                         MacAddress{}, ip("10.9.0.1")};
  EXPECT_EQ(ArpRepr::parse(request), expected);
  Bytes again(ArpRepr::kSize);
  expected.emit(MutableBytes(again).first<ArpRepr::kSize>());
  EXPECT_EQ(again, request);

  const auto reply = ArpRepr::parse(cut_front(from_hex(captured::kArpReply), 14));
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->operation, ArpOperation::kReply);
  EXPECT_EQ(reply->sender_mac, mac("52:54:00:12:34:01"));
  EXPECT_EQ(reply->sender_ip, ip("10.9.0.1"));
}

TEST(Arp, EveryTruncation) {
  for_each_truncation(cut_front(from_hex(captured::kArpReply), 14), [](ByteView cut) {
    EXPECT_EQ(ArpRepr::parse(cut).error(), ParseError::kTruncated);
  });
}

TEST(Arp, OtherHardwareProtocolsAndOperations) {
  for (const std::size_t at : {1U, 2U, 4U, 5U, 7U}) {
    Bytes packet = cut_front(from_hex(captured::kArpReply), 14);
    packet[at] = 9;
    EXPECT_EQ(ArpRepr::parse(packet).error(), ParseError::kUnsupported) << at;
  }
}

}  // namespace
}  // namespace sluice::wire
