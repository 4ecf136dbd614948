#include "netns/guest_namespace.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "base/unique_fd.h"
#include "netlink/netlink.h"

namespace sluice::netns {
namespace {

constexpr std::uint32_t kLoopbackIndex = 1;  // The kernel gives it to `lo` in every namespace.

std::expected<void, sys::SetupError> write_sysctl(const std::string& name, std::string_view value) {
  const std::string path = "/proc/sys/net/" + name;
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (fd.valid() && ::write(fd.get(), value.data(), value.size()) >= 0) return {};
  return std::unexpected(sys::SetupError{fmt::format("set {} to {}", path, value), errno, ""});
}

// RFC 4291, appendix A: the interface identifier is the MAC with ff:fe in its middle and the
// universal/local bit turned.
wire::IpAddress link_local_of(const wire::MacAddress& mac) {
  const auto& m = mac.octets;
  const std::array<std::uint8_t, 16> octets = {
      0xfe, 0x80, 0,    0,    0,    0,    0,   0, static_cast<std::uint8_t>(m[0] ^ 2U),
      m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]};
  return wire::IpAddress::v6(octets);
}

}  // namespace

std::expected<std::vector<sys::SetupError>, sys::SetupError> configure(
    const InterfacePlan& network) {
  auto netlink = netlink::Netlink::open();
  if (!netlink) {
    return std::unexpected(sys::SetupError{"open a netlink socket", netlink.error().error, ""});
  }
  const auto index = netlink::interface_index(network.interface);
  if (!index) {
    return std::unexpected(
        sys::SetupError{"find interface " + network.interface, index.error().error, ""});
  }
  if (!network.configured) {
    netlink::NetlinkBatch bare;
    if (network.loopback_up) bare.change_link(kLoopbackIndex, {.up = true});
    bare.change_link(*index, {.mac = network.mac});
    if (auto done = netlink->run(bare); !done) return std::unexpected(done.error());
    return {};
  }
  const bool v6 =
      std::ranges::any_of(network.addresses, [](const auto& a) { return !a.address.is_v4(); });

  // A link-local address of the kernel's own would wait for duplicate address detection; ours
  // skips it. It needs the MAC, which only a caller that sets it knows.
  const bool own_link_local = v6 && network.mac.has_value();

  std::vector<sys::SetupError> warnings;
  const auto try_sysctl = [&warnings](const std::string& name, std::string_view value) {
    if (auto written = write_sysctl(name, value); !written) warnings.push_back(written.error());
  };
  if (v6) {
    // The addresses are ours to set: one more by our router advertisement would be a duplicate.
    try_sysctl("ipv6/conf/" + network.interface + "/accept_ra", "0");
    if (!own_link_local) try_sysctl("ipv6/conf/" + network.interface + "/accept_dad", "0");
  }
  // Ping sockets for every group; where a user namespace knows one group only, for that.
  if (!write_sysctl("ipv4/ping_group_range", "0 2147483647")) {
    try_sysctl("ipv4/ping_group_range", fmt::format("{0} {0}", ::getegid()));
  }
  // All ports are the guest's. Root needs no permission, and as whom else it runs is its affair.
  if (::geteuid() != 0) try_sysctl("ipv4/ip_unprivileged_port_start", "0");

  if (network.several_queues) {
    // For each of the 256 that such a tap may have the kernel would make a discipline with rings
    // of that length: 25 MiB, and 10 ms. A tap has queues of its own, and fills them at once.
    netlink::NetlinkBatch before_it_is_up;
    before_it_is_up.remove_discipline(*index);
    if (auto done = netlink->run(before_it_is_up); !done) warnings.push_back(done.error());
  }

  netlink::NetlinkBatch batch;
  batch.change_link(kLoopbackIndex, {.up = true});
  batch.change_link(*index, {.mtu = network.mtu,
                             .transmit_queue = network.transmit_queue,
                             .mac = network.mac,
                             .no_automatic_link_local = own_link_local});
  batch.change_link(*index, {.up = true});
  if (own_link_local) batch.add_address(*index, link_local_of(*network.mac), 64);
  for (const InterfaceAddress& item : network.addresses) {
    batch.add_address(*index, item.address, item.prefix_length);
  }
  for (const wire::IpAddress& gateway : network.gateways) {
    batch.add_default_route(*index, gateway);
  }
  if (auto done = netlink->run(batch); !done) return std::unexpected(done.error());
  return warnings;
}

}  // namespace sluice::netns
