#include "wire/ip/ndp.h"

#include <algorithm>
#include <array>

#include "base/overloaded.h"
#include "wire/byte_cursor.h"
#include "wire/link/ethernet.h"

namespace sluice::wire {
namespace {

enum class Option : std::uint8_t {
  kSourceLinkAddress = 1,
  kTargetLinkAddress = 2,
  kPrefixInformation = 3,
  kMtu = 5,
  kDnsServers = 25,
  kSearchList = 31,
};

constexpr std::size_t kOptionUnit = 8;
constexpr std::size_t kAddressSize = 16;

constexpr std::uint8_t kManagedFlag = 0x80;
constexpr std::uint8_t kOtherFlag = 0x40;
constexpr std::uint8_t kOnLinkFlag = 0x80;
constexpr std::uint8_t kAutonomousFlag = 0x40;
constexpr std::uint32_t kRouterFlag = 0x8000'0000;
constexpr std::uint32_t kSolicitedFlag = 0x4000'0000;
constexpr std::uint32_t kOverrideFlag = 0x2000'0000;

// Calls `handle(type, data)` for each option; data is what follows type and length.
template <typename Handle>
std::expected<void, ParseError> for_each_option(ByteView bytes, const Handle& handle) {
  while (!bytes.empty()) {
    if (bytes.size() < kOptionUnit) return std::unexpected(ParseError::kTruncated);
    const std::size_t length = bytes[1] * kOptionUnit;
    if (length == 0) return std::unexpected(ParseError::kBadLength);
    if (length > bytes.size()) return std::unexpected(ParseError::kTruncated);
    handle(Option{bytes[0]}, bytes.subspan(2, length - 2));
    bytes = bytes.subspan(length);
  }
  return {};
}

std::expected<IpAddress, ParseError> read_target(ByteReader& in) {
  const ByteView octets = in.take(kAddressSize);
  if (octets.empty()) return std::unexpected(ParseError::kTruncated);
  const IpAddress target = IpAddress::v6(octets.first<kAddressSize>());
  // RFC 4861, 7.1: a target must not be multicast; a mapped one would pass for IPv4.
  if (target.is_v4() || target.is_multicast()) return std::unexpected(ParseError::kBadAddress);
  return target;
}

// The one option that three of the four messages have.
std::expected<std::optional<MacAddress>, ParseError> read_link_address(ByteView options,
                                                                       Option wanted) {
  std::optional<MacAddress> mac;
  const auto walked = for_each_option(options, [&](Option type, ByteView data) {
    if (type == wanted) mac = load_mac(data.first<6>());
  });
  if (!walked) return std::unexpected(walked.error());
  return mac;
}

void read_prefix(ByteView data, RouterAdvertisement& into) {
  constexpr std::size_t kDataSize = 30;
  if (data.size() != kDataSize || into.prefixes.size() == kNdpPrefixesMax) return;
  const FixedView<kDataSize> fields = data.first<kDataSize>();
  const PrefixInformation prefix{.prefix = IpAddress::v6(fields.subspan<14, kAddressSize>()),
                                 .length = fields[0],
                                 .on_link = (fields[1] & kOnLinkFlag) != 0,
                                 .autonomous = (fields[1] & kAutonomousFlag) != 0,
                                 .valid_seconds = be32<2>(fields),
                                 .preferred_seconds = be32<6>(fields)};
  constexpr std::uint8_t kBitsMax = 128;
  if (prefix.length <= kBitsMax) into.prefixes.push_back(prefix);
}

void read_dns_servers(ByteView data, RouterAdvertisement& into) {
  ByteReader in(data);
  in.take(2);  // reserved
  const std::uint32_t lifetime = in.u32();
  if (in.rest().size() >= kAddressSize) into.dns_lifetime_seconds = lifetime;
  for (ByteView left = in.rest(); left.size() >= kAddressSize; left = left.subspan(kAddressSize)) {
    if (into.dns_servers.size() == kNdpDnsServersMax) return;
    into.dns_servers.push_back(IpAddress::v6(left.first<kAddressSize>()));
  }
}

void read_search_list(ByteView data, RouterAdvertisement& into) {
  ByteReader in(data);
  in.take(2);  // reserved
  const std::uint32_t lifetime = in.u32();
  auto names = read_name_list(in.rest(), Compression::kForbidden);
  if (!names || names->empty()) return;
  into.search_lifetime_seconds = lifetime;
  into.search_domains = *std::move(names);
}

std::expected<NdpMessage, ParseError> parse_advertisement(ByteReader in) {
  RouterAdvertisement message;
  message.hop_limit = in.u8();
  const std::uint8_t flags = in.u8();
  message.managed = (flags & kManagedFlag) != 0;
  message.other = (flags & kOtherFlag) != 0;
  message.router_lifetime_seconds = in.u16();
  message.reachable_time_ms = in.u32();
  message.retransmit_timer_ms = in.u32();
  if (!in.ok()) return std::unexpected(ParseError::kTruncated);
  const auto walked = for_each_option(in.rest(), [&](Option type, ByteView data) {
    if (type == Option::kSourceLinkAddress) {
      message.source_link_address = load_mac(data.first<6>());
    } else if (type == Option::kMtu) {
      message.mtu = be32<2>(data.first<6>());
    } else if (type == Option::kPrefixInformation) {
      read_prefix(data, message);
    } else if (type == Option::kDnsServers) {
      read_dns_servers(data, message);
    } else if (type == Option::kSearchList) {
      read_search_list(data, message);
    }
  });
  if (!walked) return std::unexpected(walked.error());
  return message;
}

std::expected<NdpMessage, ParseError> parse_neighbor_solicitation(ByteReader in) {
  in.u32();  // reserved
  const auto target = read_target(in);
  if (!target) return std::unexpected(target.error());
  const auto mac = read_link_address(in.rest(), Option::kSourceLinkAddress);
  if (!mac) return std::unexpected(mac.error());
  return NeighborSolicitation{*target, *mac};
}

std::expected<NdpMessage, ParseError> parse_neighbor_advertisement(ByteReader in) {
  const std::uint32_t flags = in.u32();
  const auto target = read_target(in);
  if (!target) return std::unexpected(target.error());
  const auto mac = read_link_address(in.rest(), Option::kTargetLinkAddress);
  if (!mac) return std::unexpected(mac.error());
  return NeighborAdvertisement{(flags & kRouterFlag) != 0, (flags & kSolicitedFlag) != 0,
                               (flags & kOverrideFlag) != 0, *target, *mac};
}

void write_option(ByteWriter& out, Option type, std::size_t units) {
  constexpr std::size_t kUnitsMax = 0xff;
  if (units > kUnitsMax) {
    out.fail();
    return;
  }
  out.u8(static_cast<std::uint8_t>(type));
  out.u8(static_cast<std::uint8_t>(units));
}

void write_link_address(ByteWriter& out, Option type, const std::optional<MacAddress>& mac) {
  if (!mac) return;
  write_option(out, type, 1);
  out.bytes(mac->octets);
}

void write_prefix(ByteWriter& out, const PrefixInformation& prefix) {
  write_option(out, Option::kPrefixInformation, 4);
  out.u8(prefix.length);
  out.u8(static_cast<std::uint8_t>((prefix.on_link ? kOnLinkFlag : 0) |
                                   (prefix.autonomous ? kAutonomousFlag : 0)));
  out.u32(prefix.valid_seconds);
  out.u32(prefix.preferred_seconds);
  out.zeros(4);
  out.bytes(prefix.prefix.octets());
}

void write_search_list(ByteWriter& out, const RouterAdvertisement& message) {
  constexpr std::size_t kFixedSize = 8;
  std::size_t names_size = 0;
  for (const DomainName& name : message.search_domains) names_size += name.wire().size();
  const std::size_t padding = (kOptionUnit - names_size % kOptionUnit) % kOptionUnit;
  write_option(out, Option::kSearchList, (kFixedSize + names_size + padding) / kOptionUnit);
  out.zeros(2);
  out.u32(message.search_lifetime_seconds);
  for (const DomainName& name : message.search_domains) write_name(out, name);
  out.zeros(padding);
}

void write_body(ByteWriter& out, const RouterSolicitation& message) {
  out.zeros(4);
  write_link_address(out, Option::kSourceLinkAddress, message.source_link_address);
}

void write_body(ByteWriter& out, const RouterAdvertisement& message) {
  out.u8(message.hop_limit);
  out.u8(static_cast<std::uint8_t>((message.managed ? kManagedFlag : 0) |
                                   (message.other ? kOtherFlag : 0)));
  out.u16(message.router_lifetime_seconds);
  out.u32(message.reachable_time_ms);
  out.u32(message.retransmit_timer_ms);
  write_link_address(out, Option::kSourceLinkAddress, message.source_link_address);
  if (message.mtu) {
    write_option(out, Option::kMtu, 1);
    out.zeros(2);
    out.u32(*message.mtu);
  }
  for (const PrefixInformation& prefix : message.prefixes) write_prefix(out, prefix);
  if (!message.dns_servers.empty()) {
    write_option(out, Option::kDnsServers, 1 + 2 * message.dns_servers.size());
    out.zeros(2);
    out.u32(message.dns_lifetime_seconds);
    for (const IpAddress& server : message.dns_servers) out.bytes(server.octets());
  }
  if (!message.search_domains.empty()) write_search_list(out, message);
}

void write_body(ByteWriter& out, const NeighborSolicitation& message) {
  out.zeros(4);
  out.bytes(message.target.octets());
  write_link_address(out, Option::kSourceLinkAddress, message.source_link_address);
}

void write_body(ByteWriter& out, const NeighborAdvertisement& message) {
  out.u32((message.router ? kRouterFlag : 0) | (message.solicited ? kSolicitedFlag : 0) |
          (message.override ? kOverrideFlag : 0));
  out.bytes(message.target.octets());
  write_link_address(out, Option::kTargetLinkAddress, message.target_link_address);
}

Icmpv6Type type_of(const NdpMessage& message) {
  return std::visit(
      Overloaded{
          [](const RouterSolicitation&) { return Icmpv6Type::kRouterSolicitation; },
          [](const RouterAdvertisement&) { return Icmpv6Type::kRouterAdvertisement; },
          [](const NeighborSolicitation&) { return Icmpv6Type::kNeighborSolicitation; },
          [](const NeighborAdvertisement&) { return Icmpv6Type::kNeighborAdvertisement; },
      },
      message);
}

}  // namespace

std::expected<NdpMessage, ParseError> parse_ndp(const Icmpv6View& icmp) {
  // RFC 4861, 6.1 and 7.1: a code other than zero is discarded.
  if (icmp.code() != 0) return std::unexpected(ParseError::kMalformed);
  constexpr std::size_t kIcmpStart = 4;  // type, code, checksum
  ByteReader in(icmp.message().subspan(kIcmpStart));
  if (icmp.type() == Icmpv6Type::kRouterSolicitation) {
    in.u32();  // reserved
    const auto mac = read_link_address(in.rest(), Option::kSourceLinkAddress);
    if (!mac) return std::unexpected(mac.error());
    return RouterSolicitation{*mac};
  }
  if (icmp.type() == Icmpv6Type::kRouterAdvertisement) return parse_advertisement(in);
  if (icmp.type() == Icmpv6Type::kNeighborSolicitation) return parse_neighbor_solicitation(in);
  if (icmp.type() == Icmpv6Type::kNeighborAdvertisement) return parse_neighbor_advertisement(in);
  return std::unexpected(ParseError::kUnsupported);
}

std::optional<std::size_t> emit_ndp(const NdpMessage& message, const IpAddress& source,
                                    const IpAddress& destination, MutableBytes out) {
  ByteWriter writer(out);
  writer.u8(static_cast<std::uint8_t>(type_of(message)));
  writer.zeros(3);  // code, checksum
  std::visit([&writer](const auto& body) { write_body(writer, body); }, message);
  constexpr std::size_t kChecksumAt = 2;
  if (writer.ok()) {
    writer.patch16(kChecksumAt, icmpv6_checksum(source, destination, writer.written(), {}));
  }
  return writer.finish();
}

IpAddress solicited_node_multicast(const IpAddress& target) {
  std::array<std::uint8_t, 16> group{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0xff};
  std::ranges::copy(target.octets().last<3>(), group.begin() + 13);
  return IpAddress::v6(group);
}

MacAddress multicast_mac(const IpAddress& group) {
  MacAddress mac{{0x33, 0x33}};
  std::ranges::copy(group.octets().last<4>(), mac.octets.begin() + 2);
  return mac;
}

}  // namespace sluice::wire
