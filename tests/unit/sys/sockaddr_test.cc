#include "sys/sockaddr.h"

#include <gtest/gtest.h>

#include "unit/sys/loopback.h"

namespace sluice::sys {
namespace {

TEST(SockAddr, BothFamiliesRoundTrip) {
  for (const char* text : {"10.1.2.3", "0.0.0.0", "fd00::15", "::", "::1"}) {
    const wire::Endpoint endpoint{ip(text), wire::Port{0x1234}};
    const SocketAddress address = to_sockaddr(endpoint);
    EXPECT_EQ(address.get()->sa_family, endpoint.address.is_v4() ? AF_INET : AF_INET6) << text;
    EXPECT_EQ(from_sockaddr(address.storage, address.length), endpoint) << text;
  }
}

TEST(SockAddr, MappedAddressOfADualStackSocketIsIpv4) {
  sockaddr_in6 mapped{};
  mapped.sin6_family = AF_INET6;
  mapped.sin6_port = htons(80);
  mapped.sin6_addr.s6_addr[10] = 0xff;
  mapped.sin6_addr.s6_addr[11] = 0xff;
  mapped.sin6_addr.s6_addr[12] = 127;
  mapped.sin6_addr.s6_addr[15] = 1;
  sockaddr_storage storage{};
  std::memcpy(&storage, &mapped, sizeof mapped);
  EXPECT_EQ(from_sockaddr(storage, sizeof mapped),
            (wire::Endpoint{ip("127.0.0.1"), wire::Port{80}}));
}

TEST(SockAddr, ScopeAndShortOrForeignAddresses) {
  const SocketAddress scoped = to_sockaddr({ip("fe80::1"), wire::Port{1}}, 7);
  EXPECT_EQ(reinterpret_cast<const sockaddr_in6*>(scoped.get())->sin6_scope_id, 7U);
  EXPECT_FALSE(from_sockaddr(scoped.storage, scoped.length - 1).has_value());
  sockaddr_storage other{};
  other.ss_family = AF_UNIX;
  EXPECT_FALSE(from_sockaddr(other, sizeof other).has_value());
}

}  // namespace
}  // namespace sluice::sys
