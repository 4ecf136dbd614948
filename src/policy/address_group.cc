#include "policy/address_group.h"

#include <algorithm>
#include <array>

#include "base/unreachable.h"

namespace sluice::policy {
namespace {

constexpr wire::IpAddress v6_of(const std::array<std::uint8_t, 16>& octets) {
  return wire::IpAddress::v6(FixedView<16>(octets));
}

constexpr wire::Prefix v4_of(std::uint32_t address, std::uint8_t length) {
  return {wire::IpAddress::v4(address), length};
}

// Link-local first, then the addresses of metadata: default_denials() is all but the last three,
// which lie in 169.254.0.0/16.
constexpr std::size_t kLinkLocalCount = 2;
constexpr std::size_t kWithinLinkLocal = 3;
constexpr std::array kLocal{
    v4_of(0xa9fe'0000, 16),                                         // 169.254.0.0/16
    wire::Prefix{v6_of({0xfe, 0x80}), 10}, v4_of(0x6464'64c8, 32),  // 100.100.100.200, Alibaba
    v4_of(0xa83f'8110, 32),                                         // 168.63.129.16, Azure
    v4_of(0xc000'00c0, 32),                                         // 192.0.0.192, Oracle
    // fd00:ec2::/32, AWS: of machines ::254, of pods ::23.
    wire::Prefix{v6_of({0xfd, 0x00, 0x0e, 0xc2}), 32},
    // fd20:ce::254, Google.
    wire::Prefix{v6_of({0xfd, 0x20, 0, 0xce, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}), 128},
    // fd00:c1::a9fe:a9fe, Oracle.
    wire::Prefix{v6_of({0xfd, 0, 0, 0xc1, 0, 0, 0, 0, 0, 0, 0, 0, 0xa9, 0xfe, 0xa9, 0xfe}), 128},
    v4_of(0xa9fe'a9fe, 32),   // 169.254.169.254: most clouds
    v4_of(0xa9fe'aa02, 32),   // 169.254.170.2: containers of AWS
    v4_of(0xa9fe'aa17, 32)};  // 169.254.170.23: pods of AWS

constexpr std::array kPrivate{v4_of(0x0a00'0000, 8), v4_of(0xac10'0000, 12), v4_of(0xc0a8'0000, 16),
                              v4_of(0x6440'0000, 10), wire::Prefix{v6_of({0xfc}), 7}};

constexpr std::array kFamilies{v4_of(0, 0), wire::Prefix{v6_of({}), 0}};

// RFC 6890 and the registry that it began, less the ranges for documentation.
constexpr std::array kNotPublic{v4_of(0, 8),
                                v4_of(0x0a00'0000, 8),
                                v4_of(0x6440'0000, 10),
                                v4_of(0x7f00'0000, 8),
                                v4_of(0xa9fe'0000, 16),
                                v4_of(0xac10'0000, 12),
                                v4_of(0xc000'0000, 24),
                                v4_of(0xc0a8'0000, 16),
                                v4_of(0xc612'0000, 15),
                                v4_of(0xe000'0000, 3)};
// Global unicast, and the well-known prefix of NAT64 (RFC 6052, 2.1).
constexpr std::array kPublicV6{wire::Prefix{v6_of({0x20}), 3},
                               wire::Prefix{v6_of({0x00, 0x64, 0xff, 0x9b}), 96}};

struct Named {
  AddressGroup group{};
  std::string_view text;
};
constexpr std::array kNames{Named{AddressGroup::kPublic, "@public"},
                            Named{AddressGroup::kPrivate, "@private"},
                            Named{AddressGroup::kLinkLocal, "@link-local"},
                            Named{AddressGroup::kMetadata, "@metadata"},
                            Named{AddressGroup::kHost, "@host"},
                            Named{AddressGroup::kGateway, "@gateway"},
                            Named{AddressGroup::kLoopback, "@loopback"}};

bool within(std::span<const wire::Prefix> prefixes, const wire::IpAddress& address) {
  return std::ranges::any_of(prefixes,
                             [&](const wire::Prefix& prefix) { return prefix.contains(address); });
}

}  // namespace

std::string_view to_string(AddressGroup group) {
  return kNames[static_cast<std::size_t>(group)].text;
}

std::optional<AddressGroup> parse_address_group(std::string_view text) {
  for (const Named& named : kNames) {
    if (named.text == text) return named.group;
  }
  return std::nullopt;
}

std::span<const wire::Prefix> prefixes_of(AddressGroup group) {
  switch (group) {
    case AddressGroup::kPublic: return kFamilies;
    case AddressGroup::kPrivate: return kPrivate;
    case AddressGroup::kLinkLocal: return std::span(kLocal).first(kLinkLocalCount);
    case AddressGroup::kMetadata: return std::span(kLocal).subspan(kLinkLocalCount);
    case AddressGroup::kHost:
    case AddressGroup::kGateway:
    case AddressGroup::kLoopback: return {};
  }
  unreachable("group outside its enum");
}

std::span<const wire::Prefix> default_denials() {
  return std::span(kLocal).first(kLocal.size() - kWithinLinkLocal);
}

bool is_public(const wire::IpAddress& address) {
  return address.is_v4() ? !within(kNotPublic, address) : within(kPublicV6, address);
}

}  // namespace sluice::policy
