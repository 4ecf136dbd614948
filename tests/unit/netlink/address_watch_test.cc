#include "netlink/address_watch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "unit/sys/loopback.h"

namespace sluice::netlink {
namespace {

bool has(const AddressWatch& watch, std::string_view address) {
  const auto all = watch.addresses();
  return std::find(all.begin(), all.end(), sys::ip(address)) != all.end();
}

// Waits until the list has the address, or has it no more.
bool becomes(AddressWatch& watch, std::string_view address, bool wanted) {
  while (has(watch, address) != wanted) {
    if (!sys::wait_for(watch.fd(), POLLIN)) return false;
    if (!watch.read()) return false;
  }
  return true;
}

int shell(const char* line) { return std::system(line); }

TEST(AddressWatch, KnowsAllAddressesAndThoseThatComeAndGo) {
  const int status = sys::in_network_namespace([] {
    if (shell("ip link set lo up && ip addr add 192.0.2.7/24 dev lo && "
              "ip addr add 2001:db8::7/64 dev lo nodad") != 0) {
      return 1;
    }
    auto watch = AddressWatch::open();
    if (!watch) return 2;
    for (const char* text : {"127.0.0.1", "::1", "192.0.2.7", "2001:db8::7"}) {
      if (!has(*watch, text)) return 3;
    }
    if (shell("ip addr add 192.0.2.8/32 dev lo && ip addr add 2001:db8::8/128 dev lo nodad") != 0) {
      return 4;
    }
    if (!becomes(*watch, "192.0.2.8", true) || !becomes(*watch, "2001:db8::8", true)) return 5;
    if (shell("ip addr del 192.0.2.7/24 dev lo && ip addr del 2001:db8::7/64 dev lo") != 0)
      return 6;
    if (!becomes(*watch, "192.0.2.7", false) || !becomes(*watch, "2001:db8::7", false)) return 7;
    return 0;
  });
  if (WEXITSTATUS(status) == sys::kNotPermitted) GTEST_SKIP() << "no network namespaces here";
  EXPECT_EQ(status, 0);
}

TEST(AddressWatch, AnAddressOfTwoInterfacesStaysUntilBothLoseIt) {
  const int status = sys::in_network_namespace([] {
    if (shell(
            "ip link set lo up && ip link add one type veth peer name two && ip link set one up && "
            "ip addr add 192.0.2.7/32 dev lo && ip addr add 192.0.2.7/32 dev one") != 0) {
      return sys::kNotPermitted;
    }
    auto watch = AddressWatch::open();
    if (!watch) return 2;
    if (shell("ip addr del 192.0.2.7/32 dev one && ip addr add 192.0.2.9/32 dev lo") != 0) return 3;
    if (!becomes(*watch, "192.0.2.9", true) || !has(*watch, "192.0.2.7")) return 4;
    if (shell("ip addr del 192.0.2.7/32 dev lo") != 0) return 5;
    return becomes(*watch, "192.0.2.7", false) ? 0 : 6;
  });
  if (WEXITSTATUS(status) == sys::kNotPermitted) GTEST_SKIP() << "no network namespaces here";
  EXPECT_EQ(status, 0);
}

// More news than the socket's queue holds: what was lost is asked for again.
TEST(AddressWatch, NothingIsMissedWhenTooMuchComesAtOnce) {
  const int status = sys::in_network_namespace([] {
    if (shell("ip link set lo up") != 0) return 1;
    auto watch = AddressWatch::open();
    if (!watch) return 2;
    const int small = 1;  // The kernel takes its least instead.
    ::setsockopt(watch->fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (shell("for i in $(seq 1 250); do echo addr add 10.1.0.$i/32 dev lo; done | ip -batch -") !=
        0) {
      return 3;
    }
    for (int i = 1; i <= 250; ++i) {
      if (!becomes(*watch, "10.1.0." + std::to_string(i), true)) return 4;
    }
    return 0;
  });
  if (WEXITSTATUS(status) == sys::kNotPermitted) GTEST_SKIP() << "no network namespaces here";
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace sluice::netlink
