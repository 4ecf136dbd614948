// Groups of addresses that rules call by a name, as @private.
//
//   @public      what the internet routes
//   @private     networks of houses and companies: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16,
//                100.64.0.0/10 (RFC 1918, RFC 6598) and fc00::/7 (RFC 4193)
//   @link-local  169.254.0.0/16 and fe80::/10
//   @metadata    where clouds keep the credentials of their machines
//   @host        the addresses that the host has at the time
//   @gateway     the guest's gateway
//   @loopback    the host's loopback, which the guest reaches by its gateway's address
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "wire/address.h"

namespace sluice::policy {

enum class AddressGroup : std::uint8_t {
  kPublic,
  kPrivate,
  kLinkLocal,
  kMetadata,
  kHost,
  kGateway,
  kLoopback
};

// "@public" and so on.
[[nodiscard]] std::string_view to_string(AddressGroup group);
[[nodiscard]] std::optional<AddressGroup> parse_address_group(std::string_view text);

// Of kPrivate, kLinkLocal and kMetadata. Of kPublic both whole families, of which is_public() says
// the part. None of the others, which every host and every guest has its own of.
[[nodiscard]] std::span<const wire::Prefix> prefixes_of(AddressGroup group);

// What every policy denies unless a rule of the user's opens it: @link-local and @metadata.
[[nodiscard]] std::span<const wire::Prefix> default_denials();

// Whether the internet routes it. Ranges for documentation count, as they lead nowhere. Judges the
// address alone; what an IPv6 address carries is asked by reach.h.
[[nodiscard]] bool is_public(const wire::IpAddress& address);

}  // namespace sluice::policy
