// From a client's endpoint, at an address of a listener, to the place of its session in a slab.
//
// Source addresses of datagrams are whatever a sender writes, so the hash is SipHash under a secret
// key: nobody can prepare endpoints that collide.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "base/index_table.h"
#include "base/siphash.h"
#include "wire/address.h"

namespace sluice::forward {

struct UdpSessionKey {
  wire::Endpoint client;
  // The address the client had sent to, from which answers come: of a client that asks at two of
  // ours, each has its own session. Unspecified: a group, everyone, or not known.
  wire::IpAddress local{};
  std::uint32_t scope_id = 0;  // The interface of a link-local client, which is part of its name.
  std::uint32_t listener = 0;  // Its index.
  friend constexpr bool operator==(const UdpSessionKey&, const UdpSessionKey&) = default;

  [[nodiscard]] std::uint64_t hash(const SipKey& secret) const {
    std::array<std::uint8_t, 42> bytes;
    std::memcpy(bytes.data(), client.address.octets().data(), 16);
    std::memcpy(bytes.data() + 16, &client.port.value, 2);
    std::memcpy(bytes.data() + 18, &scope_id, 4);
    std::memcpy(bytes.data() + 22, &listener, 4);
    std::memcpy(bytes.data() + 26, local.octets().data(), 16);
    return siphash(secret, bytes);
  }
};

using UdpSessionTable = IndexTable<UdpSessionKey, SipKey, 64>;

}  // namespace sluice::forward
