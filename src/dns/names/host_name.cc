#include "dns/names/host_name.h"

#include <algorithm>
#include <array>

namespace sluice::dns {
namespace {

bool is_host_octet(std::uint8_t octet) {
  return (octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z') ||
         (octet >= '0' && octet <= '9') || octet == '-' || octet == '_';
}

// Calls `visit(label)` for each label until it says false; whether all were visited.
template <typename Visitor>
bool visit_labels(const wire::DomainName& name, Visitor&& visit) {
  const ByteView wire = name.wire();
  for (std::size_t at = 0; wire[at] != 0; at += wire[at] + std::size_t{1}) {
    if (!visit(wire.subspan(at + 1, wire[at]))) return false;
  }
  return true;
}

std::optional<std::uint8_t> decimal(ByteView label) {
  unsigned value = 0;
  if (label.size() > 3 || (label.size() > 1 && label[0] == '0')) return std::nullopt;
  for (const std::uint8_t octet : label) {
    if (octet < '0' || octet > '9') return std::nullopt;
    value = value * 10 + (octet - std::uint8_t{'0'});
  }
  return value <= 0xff ? std::optional(static_cast<std::uint8_t>(value)) : std::nullopt;
}

std::optional<std::uint8_t> nibble(ByteView label) {
  if (label.size() != 1) return std::nullopt;
  const std::uint8_t octet = label[0];
  if (octet >= '0' && octet <= '9') return static_cast<std::uint8_t>(octet - '0');
  const auto lower = static_cast<std::uint8_t>(octet | 0x20);
  if (lower >= 'a' && lower <= 'f') return static_cast<std::uint8_t>(lower - 'a' + 10);
  return std::nullopt;
}

// The first `count` labels, each read by `read`; nothing if one cannot be.
template <std::size_t kCount, typename Read>
std::optional<std::array<std::uint8_t, kCount>> read_labels(const wire::DomainName& name,
                                                            Read&& read) {
  std::array<std::uint8_t, kCount> values{};
  std::size_t at = 0;
  (void)visit_labels(name, [&](ByteView label) {
    const auto value = at < kCount ? read(label) : std::nullopt;
    if (value) values[at++] = *value;
    return value.has_value() && at < kCount;
  });
  return at == kCount ? std::optional(values) : std::nullopt;
}

}  // namespace

bool is_host_name(const wire::DomainName& name) {
  return !name.is_root() && visit_labels(name, [](ByteView label) {
    return std::ranges::all_of(label, is_host_octet);
  });
}

std::size_t label_count(const wire::DomainName& name) {
  std::size_t count = 0;
  (void)visit_labels(name, [&](ByteView) { return ++count != 0; });
  return count;
}

std::optional<wire::IpAddress> reverse_address(const wire::DomainName& name) {
  static const auto kV4 = *wire::DomainName::from_text("in-addr.arpa");
  static const auto kV6 = *wire::DomainName::from_text("ip6.arpa");
  if (name.is_within(kV4) && label_count(name) == 6) {
    auto octets = read_labels<4>(name, decimal);
    if (!octets) return std::nullopt;
    std::ranges::reverse(*octets);
    return wire::IpAddress::v4(FixedView<4>(*octets));
  }
  if (name.is_within(kV6) && label_count(name) == 34) {
    const auto nibbles = read_labels<32>(name, nibble);
    if (!nibbles) return std::nullopt;
    std::array<std::uint8_t, 16> octets{};
    for (std::size_t i = 0; i < octets.size(); ++i) {
      octets[i] = static_cast<std::uint8_t>((*nibbles)[31 - 2 * i] << 4 | (*nibbles)[30 - 2 * i]);
    }
    return wire::IpAddress::v6(FixedView<16>(octets));
  }
  return std::nullopt;
}

}  // namespace sluice::dns
