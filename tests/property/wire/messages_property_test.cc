// parse(emit(x)) == x for messages of variable length, and text forms of names and addresses.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "property/wire/wire_gen.h"
#include "wire/ip/ndp.h"
#include "wire/messages/dhcp.h"
#include "wire/messages/dhcpv6.h"
#include "wire/messages/dns.h"
#include "wire/transport/proxy_protocol.h"

namespace sluice::wire {
namespace {

constexpr std::size_t kRoom = 65536;

RC_GTEST_PROP(TextProperty, Addresses, ()) {
  const IpAddress address = random::any<bool>() ? random::v4() : random::v6();
  const Endpoint endpoint{address, random::port()};
  RC_ASSERT((parse_ip(to_string(address)) == address));
  RC_ASSERT((parse_endpoint(to_string(endpoint)) == endpoint));
  const MacAddress mac = random::mac();
  RC_ASSERT((parse_mac(to_string(mac)) == mac));
}

RC_GTEST_PROP(TextProperty, PrefixesContainTheirAddresses, ()) {
  const bool v4 = random::any<bool>();
  const IpAddress address = v4 ? random::v4() : random::v6();
  const auto length = random::between<int>(0, v4 ? 32 : 128);
  const auto prefix = parse_prefix(to_string(address) + "/" + std::to_string(length));
  RC_ASSERT(prefix.has_value());
  RC_ASSERT(prefix->contains(address));
  RC_ASSERT(prefix->contains(prefix->address));
  RC_ASSERT((parse_prefix(to_string(*prefix)) == *prefix));
}

RC_GTEST_PROP(TextProperty, DomainNames, ()) {
  const DomainName name = random::domain_name();
  const auto again = DomainName::from_text(name.to_text());
  RC_ASSERT(again.has_value());
  RC_ASSERT(std::ranges::equal(again->wire(), name.wire()));
}

NdpMessage random_advertisement() {
  RouterAdvertisement message{.hop_limit = random::any<std::uint8_t>(),
                              .managed = random::any<bool>(),
                              .other = random::any<bool>(),
                              .router_lifetime_seconds = random::any<std::uint16_t>(),
                              .reachable_time_ms = random::any<std::uint32_t>(),
                              .retransmit_timer_ms = random::any<std::uint32_t>(),
                              .source_link_address = random::maybe(random::mac),
                              .mtu = random::maybe_u32()};
  message.prefixes = random::list(kNdpPrefixesMax, [] {
    return PrefixInformation{.prefix = random::v6(),
                             .length = random::between<std::uint8_t>(0, 128),
                             .on_link = random::any<bool>(),
                             .autonomous = random::any<bool>(),
                             .valid_seconds = random::any<std::uint32_t>(),
                             .preferred_seconds = random::any<std::uint32_t>()};
  });
  message.dns_servers = random::list(kNdpDnsServersMax, random::v6);
  if (!message.dns_servers.empty()) message.dns_lifetime_seconds = random::any<std::uint32_t>();
  message.search_domains = random::list(7, random::domain_name);
  if (!message.search_domains.empty()) {
    message.search_lifetime_seconds = random::any<std::uint32_t>();
  }
  return message;
}

NdpMessage random_ndp() {
  switch (random::between<int>(0, 3)) {
    case 0: return RouterSolicitation{random::maybe(random::mac)};
    case 1: return NeighborSolicitation{random::v6(), random::maybe(random::mac)};
    case 2:
      return NeighborAdvertisement{random::any<bool>(), random::any<bool>(), random::any<bool>(),
                                   random::v6(), random::maybe(random::mac)};
    default: return random_advertisement();
  }
}

RC_GTEST_PROP(MessageProperty, Ndp, ()) {
  const NdpMessage message = random_ndp();
  const IpAddress source = random::v6();
  const IpAddress destination = random::v6();
  random::Bytes bytes(kRoom);
  const auto length = emit_ndp(message, source, destination, bytes);
  RC_ASSERT(length.has_value());
  const auto icmp = Icmpv6View::parse(ByteView(bytes).first(*length));
  RC_ASSERT(icmp.has_value());
  RC_ASSERT(icmp->checksum_ok(source, destination));
  RC_ASSERT((parse_ndp(*icmp) == message));
}

RC_GTEST_PROP(MessageProperty, Dhcp, ()) {
  const DhcpMessage message{
      .operation = random::any<bool>() ? DhcpOperation::kRequest : DhcpOperation::kReply,
      .type = DhcpMessageType{random::between<std::uint8_t>(1, 8)},
      .hops = random::any<std::uint8_t>(),
      .transaction_id = random::any<std::uint32_t>(),
      .seconds = random::any<std::uint16_t>(),
      .broadcast = random::any<bool>(),
      .client_address = random::v4(),
      .your_address = random::v4(),
      .server_address = random::v4(),
      .gateway_address = random::v4(),
      .client_mac = random::mac(),
      .subnet_mask = random::maybe(random::v4),
      .routers = random::list(3, random::v4),
      .dns_servers = random::list(80, random::v4),
      .host_name = random::text(300),
      .domain_name = random::text(300),
      .domain_search = random::list(5, random::domain_name),
      .mtu = random::maybe_u16(),
      .broadcast_address = random::maybe(random::v4),
      .requested_address = random::maybe(random::v4),
      .lease_seconds = random::maybe_u32(),
      .renewal_seconds = random::maybe_u32(),
      .rebinding_seconds = random::maybe_u32(),
      .server_id = random::maybe(random::v4),
      .parameter_list = random::bytes(0, 300),
      .client_id = random::bytes(0, 300),
      .max_message_size = random::maybe_u16(),
      .message = random::text(300)};
  random::Bytes bytes(kRoom);
  const auto length = message.emit(bytes);
  RC_ASSERT(length.has_value());
  RC_ASSERT((DhcpMessage::parse(ByteView(bytes).first(*length)) == message));
}

std::optional<Dhcpv6Status> random_status() {
  return random::maybe([] {
    return Dhcpv6Status{Dhcpv6StatusCode{random::any<std::uint16_t>()}, random::text(40)};
  });
}

Dhcpv6IaNa random_ia_na() {
  return {.id = random::any<std::uint32_t>(),
          .t1_seconds = random::any<std::uint32_t>(),
          .t2_seconds = random::any<std::uint32_t>(),
          .addresses = random::list(3,
                                    [] {
                                      return Dhcpv6Address{
                                          random::v6(), random::any<std::uint32_t>(),
                                          random::any<std::uint32_t>(), random_status()};
                                    }),
          .status = random_status()};
}

RC_GTEST_PROP(MessageProperty, Dhcpv6, ()) {
  const Dhcpv6Message message{.type = Dhcpv6MessageType{random::between<std::uint8_t>(1, 11)},
                              .transaction_id = random::between<std::uint32_t>(0, 0xff'ffff),
                              .client_id = random::bytes(0, 130),
                              .server_id = random::bytes(0, 130),
                              .ia_nas = random::list(3, random_ia_na),
                              .option_request = random::list(20, random::any<std::uint16_t>),
                              .dns_servers = random::list(5, random::v6),
                              .domain_list = random::list(5, random::domain_name),
                              .status = random_status(),
                              .preference = random::maybe(random::any<std::uint8_t>),
                              .elapsed_centiseconds = random::maybe_u16(),
                              .rapid_commit = random::any<bool>()};
  random::Bytes bytes(kRoom);
  const auto length = message.emit(bytes);
  RC_ASSERT(length.has_value());
  RC_ASSERT((Dhcpv6Message::parse(ByteView(bytes).first(*length)) == message));
}

RC_GTEST_PROP(MessageProperty, ProxyHeaders, ()) {
  ProxyHeader header{.version = random::any<bool>() ? ProxyVersion::kV1 : ProxyVersion::kV2};
  const auto random_endpoint = [] {
    return Endpoint{random::any<bool>() ? random::v4() : random::v6(), random::port()};
  };
  if (random::any<bool>()) {
    const bool datagram = header.version == ProxyVersion::kV2 && random::any<bool>();
    header.transport = datagram ? ProxyTransport::kDatagram : ProxyTransport::kStream;
    header.source = random_endpoint();
    header.destination = random_endpoint();
  } else if (header.version == ProxyVersion::kV2 && random::any<bool>()) {
    header.command = ProxyCommand::kLocal;
  }
  random::Bytes bytes(kProxyEmitSizeMax);
  const auto length = emit_proxy_header(header, bytes);
  RC_ASSERT(length.has_value());
  const auto parsed = parse_proxy_header(bytes);
  RC_ASSERT(parsed.has_value());
  RC_ASSERT(parsed->header == header);
  RC_ASSERT(parsed->size == *length);
}

RC_GTEST_PROP(MessageProperty, DnsHeaders, ()) {
  const auto bytes = *rc::gen::container<std::array<std::uint8_t, kDnsHeaderSize>>(
      rc::gen::arbitrary<std::uint8_t>());
  std::array<std::uint8_t, kDnsHeaderSize> again{};
  DnsHeader::parse(bytes).emit(again);
  auto expected = bytes;
  expected[3] &= 0xbf;  // Z is reserved and always sent as zero (RFC 1035, 4.1.1).
  RC_ASSERT(again == expected);
}

RC_GTEST_PROP(MessageProperty, DnsRecords, ()) {
  struct Item {
    DomainName name;
    std::uint32_t ttl;
    IpAddress address;
  };
  const DnsQuestion question{random::domain_name(), DnsType::kA, DnsClass::kIn};
  const auto items = random::list(20, [&question] {
    return Item{random::any<bool>() ? question.name : random::domain_name(),
                random::any<std::uint32_t>(), random::any<bool>() ? random::v4() : random::v6()};
  });
  random::Bytes bytes(kRoom);
  DnsBuilder builder(bytes, {.id = random::any<std::uint16_t>(), .response = true});
  builder.add_question(question);
  for (const Item& item : items) {
    builder.add_address(DnsSection::kAnswer, item.name, item.ttl, item.address);
  }
  const auto length = builder.finish();
  RC_ASSERT(length.has_value());
  const auto view = DnsView::parse(ByteView(bytes).first(*length));
  RC_ASSERT(view.has_value());
  RC_ASSERT((view->question() == question));
  DnsRecordReader reader = view->records();
  for (const Item& item : items) {
    RC_ASSERT(!reader.done());
    const auto record = reader.next();
    RC_ASSERT(record.has_value());
    RC_ASSERT(record->name == item.name);
    RC_ASSERT(record->ttl == item.ttl);
    RC_ASSERT((dns_address(*record) == item.address));
  }
  RC_ASSERT(reader.done());
}

}  // namespace
}  // namespace sluice::wire
