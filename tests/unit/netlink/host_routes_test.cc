#include "netlink/host_routes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "unit/sys/loopback.h"

namespace sluice::netlink {
namespace {

bool has(const HostRoutes& routes, std::string_view prefix) {
  const auto wanted = wire::parse_prefix(prefix).value();
  return std::find(routes.networks.begin(), routes.networks.end(), wanted) != routes.networks.end();
}

TEST(HostRoutes, KnowsNetworksAndDefaultsOfEveryTable) {
  const int status = sys::in_network_namespace([] {
    auto none = read_host_routes();
    if (!none || !none->networks.empty() || none->default_v4 || none->default_v6) return 1;
    if (none->reaches(wire::IpFamily::kV4) || none->reaches(wire::IpFamily::kV6)) return 2;
    if (std::system("ip link add one type veth peer name two && ip link set one up && "
                    "ip link set two up && ip addr add 192.0.2.1/24 dev one && "
                    "ip -6 addr add 2001:db8:1::1/64 dev one nodad && "
                    "ip route add 10.9.0.0/16 via 192.0.2.2 table 77 && "
                    "ip addr add 203.0.113.1/24 dev lo && "
                    "ip -6 route add default via 2001:db8:1::2") != 0) {
      return 3;
    }
    const auto routes = read_host_routes();
    if (!routes) return 4;
    for (const char* text : {"192.0.2.0/24", "2001:db8:1::/64", "10.9.0.0/16"}) {
      if (!has(*routes, text)) return 5;
    }
    if (has(*routes, "203.0.113.0/24") || has(*routes, "fe80::/64")) return 6;
    if (routes->default_v4 || !routes->default_v6) return 7;
    return routes->reaches(wire::IpFamily::kV4) ? 0 : 8;
  });
  if (WEXITSTATUS(status) == sys::kNotPermitted) GTEST_SKIP() << "no network namespaces here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace sluice::netlink
