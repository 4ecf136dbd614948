// The network as the guest sees it: its own address, the gateway that we are, and the DNS address.
// A plain value, read-only while the engine runs.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "wire/address.h"

namespace sluice::flow {

namespace detail {

// fd00::<last>, the default prefix with the given interface identifier.
[[nodiscard]] constexpr wire::IpAddress default_v6(std::uint8_t last) {
  const std::array<std::uint8_t, 16> octets{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last};
  return wire::IpAddress::v6(FixedView<16>(octets));
}

}  // namespace detail

// What the guest's network does for it: all of it, unless somebody wants less.
struct GuestServices {
  // Which flows there are at all. What is off is dropped without an answer.
  bool tcp = true;
  bool udp = true;
  bool echo = true;
  // How the guest learns its network.
  bool dhcp = true;
  bool dhcpv6 = true;
  bool neighbour_discovery = true;  // NDP whole, router advertisements included.
  bool router_advertisements = true;
  // What these tell of names.
  bool tells_resolvers = true;
  bool tells_search_domains = true;
};

struct GuestNetwork {
  wire::MacAddress guest_mac{{0x52, 0x54, 0x00, 0x12, 0x34, 0x56}};
  wire::MacAddress gateway_mac{{0x52, 0x54, 0x00, 0x12, 0x34, 0x01}};

  bool ipv4 = true;
  wire::IpAddress guest_v4 = wire::IpAddress::v4(0x0a00'020f);
  wire::IpAddress gateway_v4 = wire::IpAddress::v4(0x0a00'0202);
  wire::IpAddress dns_v4 = wire::IpAddress::v4(0x0a00'0203);
  std::uint8_t prefix_length_v4 = 24;

  bool ipv6 = true;
  wire::IpAddress guest_v6 = detail::default_v6(0x15);
  wire::IpAddress gateway_v6 = detail::default_v6(0x02);
  wire::IpAddress dns_v6 = detail::default_v6(0x03);
  std::uint8_t prefix_length_v6 = 64;

  bool dns = true;           // Offer our DNS address to the guest, and relay what it asks there.
  std::uint16_t mtu = 1500;  // Of an IP packet, in bytes.
  std::vector<std::string> search_domains;
  // The guest's own name, and its whole name (RFC 4702, RFC 4704), for it to be told; empty: none.
  std::string host_name;
  std::string full_name;

  GuestServices services{};
  // Resolvers that the guest is told in the place of our DNS address; it asks them past us.
  std::vector<wire::IpAddress> other_resolvers;
  // Which addresses stand for the host's loopback, where that is within reach; nothing: the
  // gateway's.
  std::optional<wire::IpAddress> loopback_v4;
  std::optional<wire::IpAddress> loopback_v6;
  // Where none was chosen of a family, whether it is the gateway that leads there.
  bool gateway_leads_to_loopback = true;
  // Addresses that stand for the host's own ones: first for second, of one family.
  std::vector<std::pair<wire::IpAddress, wire::IpAddress>> aliases;

  // What the guest is told to ask for names, of one family.
  [[nodiscard]] std::vector<wire::IpAddress> told_resolvers(wire::IpFamily family) const {
    std::vector<wire::IpAddress> told;
    if (!services.tells_resolvers) return told;
    for (const wire::IpAddress& other : other_resolvers) {
      if (other.family() == family) told.push_back(other);
    }
    if (other_resolvers.empty() && dns) {
      told.push_back(family == wire::IpFamily::kV4 ? dns_v4 : dns_v6);
    }
    return told;
  }

  [[nodiscard]] bool on_subnet(const wire::IpAddress& address) const {
    if (address.is_v4()) return subnet(gateway_v4, prefix_length_v4).contains(address);
    return subnet(gateway_v6, prefix_length_v6).contains(address);
  }
  [[nodiscard]] bool is_dns(const wire::IpAddress& address) const {
    return dns && ((ipv4 && address == dns_v4) || (ipv6 && address == dns_v6));
  }

  // The prefix that `address` is in: host bits cleared.
  [[nodiscard]] static constexpr wire::Prefix subnet(const wire::IpAddress& address,
                                                     std::uint8_t length) {
    const std::size_t bits = address.is_v4() ? 96U + length : length;
    std::array<std::uint8_t, 16> octets{};
    for (std::size_t i = 0; i < octets.size(); ++i) {
      const std::size_t kept = bits <= 8 * i ? 0 : std::min<std::size_t>(bits - 8 * i, 8);
      octets[i] = static_cast<std::uint8_t>(address.octets()[i] & (0xff00U >> kept));
    }
    return {wire::IpAddress::v6(FixedView<16>(octets)), length};
  }

  // The gateway's link-local address: fe80::/64 and the modified EUI-64 of its MAC (RFC 4291,
  // appendix A). Router advertisements must come from a link-local address (RFC 4861, 4.2).
  [[nodiscard]] constexpr wire::IpAddress gateway_link_local() const {
    const auto& m = gateway_mac.octets;
    const std::array<std::uint8_t, 16> octets{
        0xfe, 0x80, 0,    0,    0,    0,    0,   0, static_cast<std::uint8_t>(m[0] ^ 0x02U),
        m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]};
    return wire::IpAddress::v6(FixedView<16>(octets));
  }
};

}  // namespace sluice::flow
