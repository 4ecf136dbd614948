#include "wire/messages/dhcp.h"

#include <gtest/gtest.h>

#include "unit/wire/captured_frames.h"
#include "unit/wire/wire_testing.h"

namespace sluice::wire {
namespace {

Bytes dhcp_of(std::string_view frame) { return cut_front(from_hex(frame), 14 + 20 + 8); }
DomainName name(std::string_view text) { return DomainName::from_text(text).value(); }

// A header with a cookie, behind which options go.
Bytes fixed_part() {
  Bytes bytes(DhcpMessage::kHeaderSize);
  bytes[0] = 1;
  bytes[1] = 1;
  bytes[2] = 6;
  return bytes + from_hex("63825363");
}

TEST(Dhcp, CapturedDiscover) {
  const DhcpMessage expected{.operation = DhcpOperation::kRequest,
                             .type = DhcpMessageType::kDiscover,
                             .transaction_id = 0x3903f326,
                             .seconds = 3,
                             .broadcast = true,
                             .client_mac = mac("52:54:00:12:34:56"),
                             .host_name = "guest",
                             .parameter_list = {1, 3, 6, 15, 26, 119, 51, 54, 28},
                             .client_id = from_hex("01525400123456"),
                             .max_message_size = 1500};
  EXPECT_EQ(DhcpMessage::parse(dhcp_of(captured::kDhcpDiscover)), expected);
}

// dnsmasq compresses its search list.
TEST(Dhcp, CapturedOffer) {
  const DhcpMessage expected{.operation = DhcpOperation::kReply,
                             .type = DhcpMessageType::kOffer,
                             .transaction_id = 0x3903f326,
                             .seconds = 3,
                             .broadcast = true,
                             .your_address = ip("10.9.0.58"),
                             .server_address = ip("10.9.0.1"),
                             .client_mac = mac("52:54:00:12:34:56"),
                             .subnet_mask = ip("255.255.255.0"),
                             .routers = {ip("10.9.0.1")},
                             .dns_servers = {ip("10.9.0.1")},
                             .domain_name = "lan.example",
                             .domain_search = {name("a.example"), name("b.example")},
                             .mtu = 1400,
                             .broadcast_address = ip("10.9.0.255"),
                             .lease_seconds = 3600,
                             .renewal_seconds = 1800,
                             .rebinding_seconds = 3150,
                             .server_id = ip("10.9.0.1")};
  EXPECT_EQ(DhcpMessage::parse(dhcp_of(captured::kDhcpOffer)), expected);

  Bytes again(576);
  again.resize(expected.emit(again).value());
  EXPECT_GE(again.size(), DhcpMessage::kSizeMin);
  EXPECT_EQ(DhcpMessage::parse(again), expected);
}

// A cut between options yields a message with fewer options: the end mark is not demanded.
TEST(Dhcp, EveryTruncation) {
  const Bytes message = dhcp_of(captured::kDhcpOffer);
  const auto whole = DhcpMessage::parse(message);
  ASSERT_TRUE(whole.has_value());
  for_each_truncation(message, [&whole](ByteView cut) {
    const auto parsed = DhcpMessage::parse(cut);
    if (cut.size() < 240) {
      EXPECT_EQ(parsed.error(), ParseError::kTruncated);
    } else if (cut.size() == 240) {
      EXPECT_EQ(parsed.error(), ParseError::kUnsupported);
    } else if (parsed) {
      EXPECT_EQ(parsed->type, whole->type);
    } else {
      EXPECT_EQ(parsed.error(), ParseError::kTruncated);
    }
  });
}

TEST(Dhcp, OptionsInFileAndServerName) {
  Bytes message = fixed_part();
  const Bytes in_file = from_hex("0c05 6775657374 ff");
  const Bytes in_server_name = from_hex("1a02 05dc ff");
  std::copy(in_file.begin(), in_file.end(), message.begin() + 108);
  std::copy(in_server_name.begin(), in_server_name.end(), message.begin() + 44);
  const auto with_overload = [&message](std::uint8_t where) {
    return DhcpMessage::parse(message + from_hex("350101 3401") + Bytes{where, 0xff});
  };
  EXPECT_EQ(with_overload(1)->host_name, "guest");
  EXPECT_FALSE(with_overload(1)->mtu.has_value());
  EXPECT_EQ(with_overload(2)->host_name, "");
  EXPECT_EQ(with_overload(2)->mtu, 1500);
  EXPECT_EQ(with_overload(3)->host_name, "guest");
  EXPECT_EQ(with_overload(3)->mtu, 1500);
  EXPECT_FALSE(with_overload(0)->mtu.has_value());
}

TEST(Dhcp, LongOptionsAreJoinedAndSplit) {
  DhcpMessage message{.type = DhcpMessageType::kAck};
  for (char c = 'a'; c < 'a' + 20; ++c) {
    message.domain_search.push_back(name(std::string(30, c) + ".example"));
  }
  Bytes bytes(1500);
  bytes.resize(message.emit(bytes).value());
  EXPECT_EQ(DhcpMessage::parse(bytes), message);
}

TEST(Dhcp, ZeroesBehindTextAreStripped) {
  const auto message = DhcpMessage::parse(fixed_part() + from_hex("350103 0c03 780000 ff"));
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(message->host_name, "x");
}

TEST(Dhcp, WrongLengthsOfOptionsAreLeftOut) {
  const auto message = DhcpMessage::parse(
      fixed_part() + from_hex("350103 010200ff 03050a000201ff 3303000001 1a0105 320400000001 ff"));
  ASSERT_TRUE(message.has_value());
  EXPECT_FALSE(message->subnet_mask.has_value());
  EXPECT_TRUE(message->routers.empty());
  EXPECT_FALSE(message->lease_seconds.has_value());
  EXPECT_FALSE(message->mtu.has_value());
  EXPECT_EQ(message->requested_address, ip("0.0.0.1"));
}

TEST(Dhcp, HostileMessages) {
  const auto error_of = [](const Bytes& bytes) { return DhcpMessage::parse(bytes).error(); };
  EXPECT_EQ(error_of(fixed_part() + from_hex("ff")), ParseError::kUnsupported);  // BOOTP
  EXPECT_EQ(error_of(fixed_part() + from_hex("350109ff")), ParseError::kUnsupported);
  EXPECT_EQ(error_of(fixed_part() + from_hex("350100ff")), ParseError::kUnsupported);
  EXPECT_EQ(error_of(fixed_part() + from_hex("35020101ff")), ParseError::kBadLength);
  EXPECT_EQ(error_of(fixed_part() + from_hex("350101 0cff 78")), ParseError::kTruncated);
  EXPECT_EQ(error_of(fixed_part() + from_hex("350101 0c")), ParseError::kTruncated);
  for (const auto& [at, value, error] :
       {std::tuple{0, 3, ParseError::kMalformed}, std::tuple{1, 6, ParseError::kUnsupported},
        std::tuple{2, 16, ParseError::kUnsupported},
        std::tuple{236, 0, ParseError::kUnsupported}}) {
    Bytes bytes = fixed_part() + from_hex("350101ff");
    bytes[static_cast<std::size_t>(at)] = static_cast<std::uint8_t>(value);
    EXPECT_EQ(error_of(bytes), error) << at;
  }
}

TEST(Dhcp, NoRoomIsNoMessage) {
  Bytes small(299);
  EXPECT_EQ(DhcpMessage{.type = DhcpMessageType::kAck}.emit(small), std::nullopt);
}

}  // namespace
}  // namespace sluice::wire
