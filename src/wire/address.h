// Addresses as values: MAC, IPv4 and IPv6 in one type, ports, endpoints, prefixes.
//
// An IpAddress is 16 bytes; IPv4 is held as an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2), so
// that both families hash, compare and copy alike.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>
#include <expected>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace sluice::wire {

struct MacAddress {
  std::array<std::uint8_t, 6> octets{};
  friend constexpr bool operator==(const MacAddress&, const MacAddress&) = default;
  [[nodiscard]] constexpr bool is_multicast() const { return (octets[0] & 1U) != 0; }
};

inline constexpr MacAddress kBroadcastMac{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

enum class IpFamily : std::uint8_t { kV4, kV6 };

class IpAddress {
 public:
  constexpr IpAddress() = default;  // "::"

  [[nodiscard]] static constexpr IpAddress v4(std::uint32_t host_order) {
    IpAddress a;
    a.octets_[10] = 0xff;
    a.octets_[11] = 0xff;
    for (std::size_t i = 0; i < 4; ++i) {
      a.octets_[12 + i] = static_cast<std::uint8_t>(host_order >> (24 - 8 * i));
    }
    return a;
  }
  [[nodiscard]] static constexpr IpAddress v4(FixedView<4> octets) {
    IpAddress a;
    a.octets_[10] = 0xff;
    a.octets_[11] = 0xff;
    std::copy(octets.begin(), octets.end(), a.octets_.begin() + 12);
    return a;
  }
  [[nodiscard]] static constexpr IpAddress v6(FixedView<16> octets) {
    IpAddress a;
    std::copy(octets.begin(), octets.end(), a.octets_.begin());
    return a;
  }

  // 127.0.0.1 or ::1.
  [[nodiscard]] static constexpr IpAddress loopback(IpFamily family) {
    if (family == IpFamily::kV4) return v4(0x7f00'0001);
    IpAddress a;
    a.octets_[15] = 1;
    return a;
  }

  [[nodiscard]] constexpr bool is_v4() const {
    return words()[0] == 0 && be32<8>(FixedView<16>(octets_)) == 0xffff;
  }
  [[nodiscard]] constexpr IpFamily family() const {
    return is_v4() ? IpFamily::kV4 : IpFamily::kV6;
  }
  // The IPv4 address in host order. Only for is_v4().
  [[nodiscard]] constexpr std::uint32_t v4_value() const {
    return be32<12>(FixedView<16>(octets_));
  }
  [[nodiscard]] constexpr FixedView<16> octets() const { return FixedView<16>(octets_); }
  [[nodiscard]] constexpr FixedView<4> v4_octets() const {
    return FixedView<16>(octets_).subspan<12, 4>();
  }

  [[nodiscard]] bool is_unspecified() const;   // 0.0.0.0 or ::
  [[nodiscard]] bool is_loopback() const;      // 127.0.0.0/8, ::1
  [[nodiscard]] bool is_multicast() const;     // 224.0.0.0/4, ff00::/8
  [[nodiscard]] bool is_link_local() const;    // 169.254.0.0/16, fe80::/10
  [[nodiscard]] bool is_v4_broadcast() const;  // 255.255.255.255

  friend constexpr auto operator<=>(const IpAddress&, const IpAddress&) = default;
  // Every frame compares addresses; as arrays of octets they are compared by a call of memcmp.
  friend constexpr bool operator==(const IpAddress& a, const IpAddress& b) {
    return a.words()[0] == b.words()[0] && a.words()[1] == b.words()[1];
  }

 private:
  [[nodiscard]] constexpr std::array<std::uint64_t, 2> words() const {
    return std::bit_cast<std::array<std::uint64_t, 2>>(octets_);
  }

  std::array<std::uint8_t, 16> octets_{};
};

struct Port {
  std::uint16_t value = 0;
  friend constexpr auto operator<=>(const Port&, const Port&) = default;
};

struct Endpoint {
  IpAddress address{};
  Port port{};
  friend constexpr auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

// A CIDR prefix. `length` counts bits of the address's own family (0..32 or 0..128); host bits are
// zero.
struct Prefix {
  IpAddress address{};
  std::uint8_t length = 0;
  [[nodiscard]] bool contains(const IpAddress& other) const;
  friend constexpr bool operator==(const Prefix&, const Prefix&) = default;
};

enum class AddressError : std::uint8_t { kMalformed, kPrefixLength, kPortRange };

// Text forms: "10.0.2.15", "fd00::1", "52:54:00:12:34:56", "10.0.0.0/8" (a bare address is a full
// prefix; host bits are cleared), "10.0.0.1:80" and "[fd00::1]:80".
[[nodiscard]] std::expected<IpAddress, AddressError> parse_ip(std::string_view text);
[[nodiscard]] std::expected<MacAddress, AddressError> parse_mac(std::string_view text);
[[nodiscard]] std::expected<Prefix, AddressError> parse_prefix(std::string_view text);
[[nodiscard]] std::expected<Endpoint, AddressError> parse_endpoint(std::string_view text);

[[nodiscard]] std::string to_string(const MacAddress& mac);
[[nodiscard]] std::string to_string(const IpAddress& address);
[[nodiscard]] std::string to_string(const Prefix& prefix);
[[nodiscard]] std::string to_string(const Endpoint& endpoint);

}  // namespace sluice::wire
