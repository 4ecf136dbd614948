#include "wire/messages/dhcpv6.h"

#include <gtest/gtest.h>

#include "unit/wire/captured_frames.h"
#include "unit/wire/wire_testing.h"

namespace sluice::wire {
namespace {

Bytes dhcp_of(std::string_view frame) { return cut_front(from_hex(frame), 14 + 40 + 8); }
DomainName name(std::string_view text) { return DomainName::from_text(text).value(); }

TEST(Dhcpv6, CapturedSolicit) {
  const Bytes bytes = dhcp_of(captured::kDhcpv6Solicit);
  const Dhcpv6Message expected{.type = Dhcpv6MessageType::kSolicit,
                               .transaction_id = 0x123456,
                               .client_id = make_duid_ll(mac("52:54:00:12:34:56")),
                               .ia_nas = {{.id = 0x00123456}},
                               .option_request = {23, 24},
                               .elapsed_centiseconds = 0};
  EXPECT_EQ(Dhcpv6Message::parse(bytes), expected);
  Bytes again(200);
  again.resize(expected.emit(again).value());
  EXPECT_EQ(again, bytes);
}

TEST(Dhcpv6, CapturedAdvertise) {
  const auto message = Dhcpv6Message::parse(dhcp_of(captured::kDhcpv6Advertise));
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(message->type, Dhcpv6MessageType::kAdvertise);
  EXPECT_EQ(message->client_id, make_duid_ll(mac("52:54:00:12:34:56")));
  EXPECT_EQ(message->server_id, make_duid_ll(mac("52:54:00:12:34:01")));
  ASSERT_EQ(message->ia_nas.size(), 1U);
  const Dhcpv6IaNa& ia = message->ia_nas[0];
  EXPECT_EQ(ia.t1_seconds, 1800U);
  EXPECT_EQ(ia.t2_seconds, 3150U);
  ASSERT_EQ(ia.addresses.size(), 1U);
  EXPECT_EQ(ia.addresses[0].address, ip("fd09::190"));
  EXPECT_EQ(ia.addresses[0].valid_seconds, 3600U);
  ASSERT_TRUE(message->status.has_value());
  EXPECT_EQ(message->status->code, Dhcpv6StatusCode::kSuccess);
  EXPECT_EQ(message->preference, 0);
  EXPECT_EQ(message->dns_servers, std::vector{ip("fd09::3")});
  EXPECT_EQ(message->domain_list, std::vector{name("a.example")});

  Bytes again(300);
  again.resize(message->emit(again).value());
  EXPECT_EQ(Dhcpv6Message::parse(again), *message);
}

// A cut between options leaves a shorter valid message; every other cut is an error.
TEST(Dhcpv6, EveryTruncation) {
  const Bytes bytes = dhcp_of(captured::kDhcpv6Solicit);
  const std::vector<std::size_t> ends{4, 18, 34, 42};
  for_each_truncation(bytes, [&ends](ByteView cut) {
    const auto message = Dhcpv6Message::parse(cut);
    const bool between = std::ranges::find(ends, cut.size()) != ends.end();
    EXPECT_EQ(message.has_value(), between);
    if (!message) {
      EXPECT_EQ(message.error(), ParseError::kTruncated);
    }
  });
}

TEST(Dhcpv6, HostileMessages) {
  const auto error_of = [](std::string_view hex) {
    return Dhcpv6Message::parse(from_hex(hex)).error();
  };
  EXPECT_EQ(error_of("00123456"), ParseError::kUnsupported);
  EXPECT_EQ(error_of("0c123456"), ParseError::kUnsupported);  // a relay
  EXPECT_EQ(error_of("01123456 0001ffff 00"), ParseError::kTruncated);
  // An inner option that runs past its IA_NA, though not past the message.
  EXPECT_EQ(error_of("01123456 00030010 00000001 00000000 00000000 0005 0004 00000000"),
            ParseError::kTruncated);
}

TEST(Dhcpv6, WrongLengthsAreLeftOut) {
  const auto message = Dhcpv6Message::parse(
      from_hex("07123456 0003000400000001 0017000500000000ff 00060003000102 000800010a"
               "000e000100 000d000101 00070002ffff"));
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(*message,
            (Dhcpv6Message{.type = Dhcpv6MessageType::kReply, .transaction_id = 0x123456}));
}

TEST(Dhcpv6, NumbersOfAssociationsAndAddressesAreBounded) {
  Dhcpv6Message message{.type = Dhcpv6MessageType::kReply};
  message.ia_nas.resize(Dhcpv6Message::kIaNaMax + 1);
  message.ia_nas[0].addresses.resize(Dhcpv6Message::kAddressesMax + 1);
  Bytes bytes(2000);
  bytes.resize(message.emit(bytes).value());
  const auto parsed = Dhcpv6Message::parse(bytes);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->ia_nas.size(), Dhcpv6Message::kIaNaMax);
  EXPECT_EQ(parsed->ia_nas[0].addresses.size(), Dhcpv6Message::kAddressesMax);
}

TEST(Dhcpv6, NoRoomIsNoMessage) {
  Dhcpv6Message message{.type = Dhcpv6MessageType::kReply, .client_id = Bytes(10)};
  Bytes small(17);
  EXPECT_EQ(message.emit(small), std::nullopt);
  Bytes enough(18);
  EXPECT_EQ(message.emit(enough), 18U);
  message.client_id.resize(0x10000);
  Bytes large(0x20000);
  EXPECT_EQ(message.emit(large), std::nullopt);  // longer than a length field can say
}

}  // namespace
}  // namespace sluice::wire
