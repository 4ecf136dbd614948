// The network as the guest sees it: its own address, the gateway that we are, and the DNS address.
// A plain value, read-only while the engine runs.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
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
  std::string host_name;

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
