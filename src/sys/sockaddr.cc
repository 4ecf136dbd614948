#include "sys/sockaddr.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace sluice::sys {

wire::IpAddress from_in_addr(const in_addr& address) {
  return wire::IpAddress::v4(ntohl(address.s_addr));
}

wire::IpAddress from_in6_addr(const in6_addr& address) {
  return wire::IpAddress::v6(FixedView<16>(address.s6_addr));
}

in_addr to_in_addr(const wire::IpAddress& address) { return {.s_addr = htonl(address.v4_value())}; }

in6_addr to_in6_addr(const wire::IpAddress& address) {
  in6_addr out{};
  const FixedView<16> octets = address.octets();
  std::copy(octets.begin(), octets.end(), out.s6_addr);
  return out;
}

socklen_t fill_sockaddr(const wire::Endpoint& endpoint, std::uint32_t scope_id,
                        sockaddr_storage& out) {
  if (endpoint.address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port.value);
    v4.sin_addr = to_in_addr(endpoint.address);
    std::memcpy(&out, &v4, sizeof v4);
    return sizeof v4;
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(endpoint.port.value);
  v6.sin6_addr = to_in6_addr(endpoint.address);
  v6.sin6_scope_id = scope_id;
  std::memcpy(&out, &v6, sizeof v6);
  return sizeof v6;
}

SocketAddress to_sockaddr(const wire::Endpoint& endpoint, std::uint32_t scope_id) {
  SocketAddress out;
  out.length = fill_sockaddr(endpoint, scope_id, out.storage);
  return out;
}

std::uint32_t scope_id_of(const sockaddr_storage& storage) {
  if (storage.ss_family != AF_INET6) return 0;
  sockaddr_in6 v6{};
  std::memcpy(&v6, &storage, sizeof v6);
  return v6.sin6_scope_id;
}

std::optional<wire::Endpoint> from_sockaddr(const sockaddr_storage& storage, socklen_t length) {
  if (storage.ss_family == AF_INET && length >= sizeof(sockaddr_in)) {
    sockaddr_in v4{};
    std::memcpy(&v4, &storage, sizeof v4);
    return wire::Endpoint{from_in_addr(v4.sin_addr), wire::Port{ntohs(v4.sin_port)}};
  }
  if (storage.ss_family == AF_INET6 && length >= sizeof(sockaddr_in6)) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &storage, sizeof v6);
    return wire::Endpoint{from_in6_addr(v6.sin6_addr), wire::Port{ntohs(v6.sin6_port)}};
  }
  return std::nullopt;
}

}  // namespace sluice::sys
