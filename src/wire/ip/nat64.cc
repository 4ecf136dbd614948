#include "wire/ip/nat64.h"

#include <algorithm>

namespace sluice::wire {
namespace {

// The bits of RFC 6052 that belong to no address (64 to 71) and must be passed over.
constexpr std::size_t kGapOctet = 8;

// RFC 7050, 8.2: the addresses that ipv4only.arpa has.
constexpr std::array<std::uint32_t, 2> kWellKnown{0xc000'00aa, 0xc000'00ab};

// RFC 8781, 4: type, length in units of eight octets, 13 bits of lifetime and three of the prefix's
// length, and the highest 96 bits of the prefix.
constexpr std::uint8_t kPref64Type = 38;
constexpr std::size_t kPref64Size = 16;
constexpr std::array<std::uint8_t, 6> kPref64Lengths{96, 64, 56, 48, 40, 32};

Prefix prefix_from(ByteView first_octets, std::uint8_t length) {
  std::array<std::uint8_t, 16> octets{};
  std::copy_n(first_octets.begin(), length / 8U, octets.begin());
  return {IpAddress::v6(FixedView<16>(octets)), length};
}

}  // namespace

bool is_nat64_length(std::uint8_t length) {
  return std::find(kNat64Lengths.begin(), kNat64Lengths.end(), length) != kNat64Lengths.end();
}

IpAddress nat64_embedded(const IpAddress& address, std::uint8_t prefix_length) {
  const auto octets = address.octets();
  std::uint32_t value = 0;
  std::size_t at = prefix_length / 8U;
  for (int taken = 0; taken < 4; ++at) {
    if (at == kGapOctet) continue;
    value = value << 8 | octets[at];
    ++taken;
  }
  return IpAddress::v4(value);
}

std::optional<Prefix> nat64_prefix_of(const IpAddress& answer) {
  if (answer.is_v4()) return std::nullopt;
  for (const std::uint8_t length : kNat64Lengths) {
    const std::uint32_t inside = nat64_embedded(answer, length).v4_value();
    if (inside != kWellKnown[0] && inside != kWellKnown[1]) continue;
    return prefix_from(answer.octets(), length);
  }
  return std::nullopt;
}

std::optional<Prefix> nat64_prefix_in_option(ByteView option) {
  if (option.size() != kPref64Size || option[0] != kPref64Type) return std::nullopt;
  const std::size_t code = option[3] & 7U;
  if (code >= kPref64Lengths.size()) return std::nullopt;
  return prefix_from(option.subspan(4), kPref64Lengths[code]);
}

}  // namespace sluice::wire
