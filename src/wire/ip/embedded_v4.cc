#include "wire/ip/embedded_v4.h"

#include "wire/ip/nat64.h"

namespace sluice::wire {
namespace {

IpAddress v4_at(const IpAddress& address, std::size_t octet) {
  return IpAddress::v4(address.octets().data()[octet] * 0x100'0000U +
                       address.octets().data()[octet + 1] * 0x1'0000U +
                       address.octets().data()[octet + 2] * 0x100U +
                       address.octets().data()[octet + 3]);
}

// Of "this network" (RFC 791): nothing that a translator would send to.
bool is_this_network(const IpAddress& v4) { return v4.v4_value() >> 24 == 0; }

}  // namespace

EmbeddedV4::EmbeddedV4(const IpAddress& address, std::span<const Prefix> nat64) {
  if (address.is_v4()) return;
  const FixedView<16> all(address.octets());
  const std::uint32_t first = be32<0>(all);
  const std::uint32_t second = be32<4>(all);
  const std::uint32_t third = be32<8>(all);
  const bool no_prefix = first == 0 && second == 0;
  const bool compatible = no_prefix && third == 0;
  const bool translated = no_prefix && third == 0xffff'0000;
  const bool nat64_known = first == 0x0064'ff9b && second == 0 && third == 0;
  if (compatible || translated || nat64_known) add(v4_at(address, 12));
  if (first == 0x0064'ff9b && second >> 16 == 1) add_local_use_nat64(address);
  if (first >> 16 == 0x2002) add(v4_at(address, 2));
  if (first == 0x2001'0000) {
    add(v4_at(address, 4));
    // The client's address is written with all bits turned over.
    add(IpAddress::v4(~be32<12>(all)));
  }
  // The two low bits of the first octet are flags (RFC 5342, 2.1): universal and group.
  if ((third & 0xfcff'ffff) == 0x0000'5efe) add(v4_at(address, 12));
  for (const Prefix& prefix : nat64) {
    if (prefix.contains(address)) add(nat64_embedded(address, prefix.length));
  }
}

// Which length the network chose cannot be told from the address. So each is taken, but one whose
// octets are those of a longer prefix and so begin with zero; where all do, the last stands.
void EmbeddedV4::add_local_use_nat64(const IpAddress& address) {
  const IpAddress longest = nat64_embedded(address, 96);
  for (const std::uint8_t length : {std::uint8_t{48}, std::uint8_t{56}, std::uint8_t{64}}) {
    const IpAddress inside = nat64_embedded(address, length);
    if (!is_this_network(inside)) add(inside);
  }
  if (empty() || !is_this_network(longest)) add(longest);
}

void EmbeddedV4::add(const IpAddress& v4) {
  if (count_ < kMax) found_[count_++] = v4;
}

}  // namespace sluice::wire
