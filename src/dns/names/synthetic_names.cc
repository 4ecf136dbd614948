#include "dns/names/synthetic_names.h"

#include <algorithm>
#include <array>

#include "dns/names/folded_name.h"

namespace sluice::dns {
namespace {

constexpr std::uint32_t kNetworkV4 = 0xc612'0000;  // 198.18.0.0/15
constexpr std::uint32_t kMaskV4 = 0xfffe'0000;
// fd73:6c75:6963:e000::/64
constexpr std::array<std::uint8_t, 8> kNetworkV6{0xfd, 0x73, 0x6c, 0x75, 0x69, 0x63, 0xe0, 0x00};

}  // namespace

SyntheticNames::SyntheticNames(const SipKey& key, const SyntheticLimits& limits)
    : key_(key), limits_(limits) {}

bool SyntheticNames::is_synthetic(const wire::IpAddress& address) {
  if (address.is_v4()) return (address.v4_value() & kMaskV4) == kNetworkV4;
  return std::ranges::equal(ByteView(address.octets()).first<8>(), kNetworkV6);
}

wire::IpAddress SyntheticNames::address_of(NameId id, wire::IpFamily family) {
  const std::uint32_t number = id.index + 1;  // The first address of a network is the network's.
  if (family == wire::IpFamily::kV4) return wire::IpAddress::v4(kNetworkV4 | number);
  std::array<std::uint8_t, 16> octets{};
  std::ranges::copy(kNetworkV6, octets.begin());
  put32<12>(FixedBytes<16>(octets), number);
  return wire::IpAddress::v6(FixedView<16>(octets));
}

std::optional<NameId> SyntheticNames::give(const wire::DomainName& name, SyntheticUse use) {
  const FoldedName key(name);
  const Digest digest{siphash(key_, key.bytes())};
  const std::uint32_t known =
      table_.find(digest, [this](std::uint32_t at) { return entries_[at].digest; });
  if (known != Table::kNone) {
    // Two names with one digest: the second has no address.
    if (!std::ranges::equal(wire_of(entries_[known]), key.bytes())) return std::nullopt;
    return NameId{{.index = known, .generation = kGeneration}};
  }
  const bool refused = use == SyntheticUse::kRefused;
  if (entries_.size() >= limits_.names_max ||
      octets_.size() + key.bytes().size() > limits_.bytes_max) {
    return std::nullopt;
  }
  if (refused && (refused_ >= limits_.refused_max ||
                  refused_bytes_ + key.bytes().size() > limits_.refused_bytes_max)) {
    return std::nullopt;
  }
  const auto index = static_cast<std::uint32_t>(entries_.size());
  entries_.push_back({.digest = digest,
                      .begin = static_cast<std::uint32_t>(octets_.size()),
                      .size = static_cast<std::uint8_t>(key.bytes().size())});
  octets_.insert(octets_.end(), key.bytes().begin(), key.bytes().end());
  table_.insert(digest, index);
  if (refused) {
    ++refused_;
    refused_bytes_ += key.bytes().size();
  }
  return NameId{{.index = index, .generation = kGeneration}};
}

std::optional<NameId> SyntheticNames::at(const wire::IpAddress& address) const {
  if (!is_synthetic(address)) return std::nullopt;
  const std::uint64_t number =
      address.is_v4() ? address.v4_value() & ~kMaskV4 : be32<12>(FixedView<16>(address.octets()));
  const bool far = !address.is_v4() && be32<8>(FixedView<16>(address.octets())) != 0;
  if (far || number == 0 || number > entries_.size()) return std::nullopt;
  return NameId{{.index = static_cast<std::uint32_t>(number - 1), .generation = kGeneration}};
}

std::optional<wire::DomainName> SyntheticNames::name(NameId id) const {
  if (!is_synthetic(id) || id.index >= entries_.size()) return std::nullopt;
  const auto read = wire::read_name(wire_of(entries_[id.index]), 0);
  return read ? std::optional(read->name) : std::nullopt;
}

}  // namespace sluice::dns
