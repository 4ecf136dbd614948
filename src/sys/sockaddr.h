// Endpoints as the kernel's sockaddr and back.
//
// An IPv4 endpoint (IPv4-mapped in wire::IpAddress) becomes AF_INET, any other AF_INET6. On the
// way back an AF_INET6 address that is IPv4-mapped, as a dual-stack socket reports it, is the
// same wire::IpAddress as its AF_INET form.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>

#include "wire/address.h"

namespace sluice::sys {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = sizeof(sockaddr_storage);

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

// `scope_id` is the interface index, needed for link-local IPv6 only.
[[nodiscard]] SocketAddress to_sockaddr(const wire::Endpoint& endpoint, std::uint32_t scope_id = 0);

// Writes into storage of the caller's and returns the length: for the data path.
[[nodiscard]] socklen_t fill_sockaddr(const wire::Endpoint& endpoint, std::uint32_t scope_id,
                                      sockaddr_storage& out);

// Nothing for a family other than the two, or an address cut short.
[[nodiscard]] std::optional<wire::Endpoint> from_sockaddr(const sockaddr_storage& storage,
                                                          socklen_t length);

// The interface index of a link-local IPv6 address; else 0.
[[nodiscard]] std::uint32_t scope_id_of(const sockaddr_storage& storage);

[[nodiscard]] wire::IpAddress from_in_addr(const in_addr& address);
[[nodiscard]] wire::IpAddress from_in6_addr(const in6_addr& address);
[[nodiscard]] in_addr to_in_addr(const wire::IpAddress& address);
[[nodiscard]] in6_addr to_in6_addr(const wire::IpAddress& address);

[[nodiscard]] constexpr int address_family(wire::IpFamily family) {
  return family == wire::IpFamily::kV4 ? AF_INET : AF_INET6;
}

}  // namespace sluice::sys
