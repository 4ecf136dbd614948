// The addresses of an IPv6/IPv4 translator: IPv4 inside of a prefix of the network (RFC 6052), and
// the two ways in which a network tells its prefix.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "wire/address.h"

namespace sluice::wire {

// The lengths that a NAT64 prefix may have (RFC 6052, 2.2).
inline constexpr std::array<std::uint8_t, 6> kNat64Lengths{32, 40, 48, 56, 64, 96};

[[nodiscard]] bool is_nat64_length(std::uint8_t length);

// What a translator with a prefix of this length makes of the address.
[[nodiscard]] IpAddress nat64_embedded(const IpAddress& address, std::uint8_t prefix_length);

// `answer` is an address of ipv4only.arpa as a resolver gave it: the prefix that it was made
// with (RFC 7050, 3), or nothing if no translator made it.
[[nodiscard]] std::optional<Prefix> nat64_prefix_of(const IpAddress& answer);

// An option of a router advertisement, whole: the prefix that a PREF64 option tells (RFC 8781, 4);
// nothing for any other.
[[nodiscard]] std::optional<Prefix> nat64_prefix_in_option(ByteView option);

}  // namespace sluice::wire
