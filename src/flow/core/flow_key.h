// What tells one flow from another: the endpoints as the guest sees them, and the protocol.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/hash.h"
#include "wire/address.h"
#include "wire/ip_protocol.h"

namespace sluice::flow {

struct FlowKey {
  wire::Endpoint guest;
  wire::Endpoint remote;
  wire::IpProtocol protocol{};

  friend constexpr bool operator==(const FlowKey&, const FlowKey&) = default;

  [[nodiscard]] std::uint64_t hash(const HashSecret& secret) const {
    std::uint8_t bytes[37];
    std::memcpy(bytes, guest.address.octets().data(), 16);
    std::memcpy(bytes + 16, remote.address.octets().data(), 16);
    std::memcpy(bytes + 32, &guest.port.value, 2);
    std::memcpy(bytes + 34, &remote.port.value, 2);
    bytes[36] = static_cast<std::uint8_t>(protocol);
    return KeyedHash(secret)(ByteView(bytes));
  }
};

}  // namespace sluice::flow
