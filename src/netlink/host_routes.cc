#include "netlink/host_routes.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/unique_fd.h"
#include "netlink/netlink_attributes.h"

namespace sluice::netlink {
namespace {

constexpr std::size_t kNetworksMax = 10'000;
constexpr std::size_t kReceiveRoom = 32 * 1024;
constexpr std::uint32_t kLoopbackIndex = 1;  // In every network namespace.
// VPNs write a default route as two or four wide ones.
constexpr std::uint8_t kNarrowest = 7;

struct Route {
  std::optional<wire::IpAddress> target;
  std::uint32_t interface = 0;
};

void add_route(const nlmsghdr& message, HostRoutes& routes) {
  if (mnl_nlmsg_get_payload_len(&message) < sizeof(rtmsg)) return;
  const auto& header = *static_cast<const rtmsg*>(mnl_nlmsg_get_payload(&message));
  const bool v4 = header.rtm_family == AF_INET;
  if (!v4 && header.rtm_family != AF_INET6) return;
  if (header.rtm_type != RTN_UNICAST || (header.rtm_flags & RTM_F_CLONED) != 0) return;
  Route route;
  for_each_attribute(message, sizeof(rtmsg), [&route](const nlattr& attribute) {
    const std::uint16_t type = mnl_attr_get_type(&attribute);
    if (type == RTA_DST) route.target = address_in(attribute);
    if (type == RTA_OIF && mnl_attr_get_payload_len(&attribute) == sizeof(std::uint32_t)) {
      route.interface = mnl_attr_get_u32(&attribute);
    }
  });
  if (route.interface == kLoopbackIndex) return;
  if (header.rtm_dst_len <= kNarrowest || !route.target) {
    (v4 ? routes.default_v4 : routes.default_v6) = true;
    return;
  }
  if (route.target->is_link_local() || route.target->is_multicast()) return;
  routes.networks.push_back({*route.target, header.rtm_dst_len});
}

[[nodiscard]] bool ask(int fd) {
  alignas(nlmsghdr) std::array<char, 64> room{};
  nlmsghdr* header = mnl_nlmsg_put_header(room.data());
  header->nlmsg_type = RTM_GETROUTE;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  (void)mnl_nlmsg_put_extra_header(header, sizeof(rtmsg));  // AF_UNSPEC: every family.
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  return ::sendto(fd, room.data(), header->nlmsg_len, 0, reinterpret_cast<const sockaddr*>(&kernel),
                  sizeof kernel) >= 0;
}

}  // namespace

bool HostRoutes::reaches(wire::IpFamily family) const {
  if (family == wire::IpFamily::kV4 ? default_v4 : default_v6) return true;
  return std::any_of(networks.begin(), networks.end(), [family](const wire::Prefix& network) {
    return network.address.family() == family;
  });
}

std::expected<HostRoutes, sys::SysError> read_host_routes() {
  const UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd.valid() || !ask(fd.get())) return std::unexpected(sys::last_error(sys::SysOp::kNetlink));
  HostRoutes routes;
  alignas(nlmsghdr) std::array<char, kReceiveRoom> room;
  while (routes.networks.size() < kNetworksMax) {
    const ssize_t got = ::recv(fd.get(), room.data(), room.size(), 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      return std::unexpected(sys::last_error(sys::SysOp::kNetlink));
    }
    int left = static_cast<int>(got);
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(room.data());
         mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) return routes;
      if (message->nlmsg_type == RTM_NEWROUTE) add_route(*message, routes);
    }
  }
  return routes;
}

}  // namespace sluice::netlink
