#include "netlink/netlink.h"

#include <fmt/core.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>

#include "sys/sockaddr.h"

namespace sluice::netlink {
namespace {

// More than any of our messages needs.
constexpr std::size_t kMessageRoom = 512;

constexpr std::uint16_t kRequest = NLM_F_REQUEST | NLM_F_ACK;

const char* name_of(wire::IpFamily family) {
  return family == wire::IpFamily::kV4 ? "IPv4" : "IPv6";
}

void put_address(nlmsghdr* header, std::uint16_t type, const wire::IpAddress& address) {
  if (address.is_v4()) {
    const FixedView<4> octets = address.v4_octets();
    mnl_attr_put(header, type, octets.size(), octets.data());
  } else {
    const FixedView<16> octets = address.octets();
    mnl_attr_put(header, type, octets.size(), octets.data());
  }
}

struct MarkRule {
  wire::IpFamily family;
  std::uint32_t mark;
  std::uint32_t table;
  std::uint32_t preference;
};
void put_mark_rule(nlmsghdr* header, const MarkRule& wanted) {
  auto* rule = static_cast<fib_rule_hdr*>(mnl_nlmsg_put_extra_header(header, sizeof(fib_rule_hdr)));
  rule->family = static_cast<std::uint8_t>(sys::address_family(wanted.family));
  rule->action = FR_ACT_TO_TBL;
  mnl_attr_put_u32(header, FRA_PRIORITY, wanted.preference);
  mnl_attr_put_u32(header, FRA_FWMARK, wanted.mark);
  mnl_attr_put_u32(header, FRA_FWMASK, 0xffff'ffff);
  mnl_attr_put_u32(header, FRA_TABLE, wanted.table);
}

void put_local_route(nlmsghdr* header, wire::IpFamily family, std::uint32_t index,
                     std::uint32_t table) {
  auto* route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(rtmsg)));
  route->rtm_family = static_cast<std::uint8_t>(sys::address_family(family));
  route->rtm_table = RT_TABLE_UNSPEC;
  route->rtm_protocol = RTPROT_STATIC;
  route->rtm_scope = RT_SCOPE_HOST;
  route->rtm_type = RTN_LOCAL;
  mnl_attr_put_u32(header, RTA_TABLE, table);
  mnl_attr_put_u32(header, RTA_OIF, index);
}

}  // namespace

char* NetlinkBatch::begin() {
  bytes_.resize(used_ + kMessageRoom);
  return bytes_.data() + used_;
}

void NetlinkBatch::commit(std::string step, int harmless) {
  auto* header = reinterpret_cast<nlmsghdr*>(bytes_.data() + used_);
  steps_.push_back({std::move(step), harmless});
  header->nlmsg_seq = static_cast<std::uint32_t>(steps_.size());
  used_ += MNL_ALIGN(header->nlmsg_len);
}

void NetlinkBatch::add_veth_pair(const VethPair& pair) {
  nlmsghdr* header = mnl_nlmsg_put_header(begin());
  header->nlmsg_type = RTM_NEWLINK;
  header->nlmsg_flags = kRequest | NLM_F_CREATE | NLM_F_EXCL;
  auto* link = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
  link->ifi_family = AF_UNSPEC;
  link->ifi_index = static_cast<int>(pair.index);
  mnl_attr_put_strz(header, IFLA_IFNAME, pair.name.c_str());
  mnl_attr_put_u32(header, IFLA_MTU, pair.mtu);
  nlattr* about = mnl_attr_nest_start(header, IFLA_LINKINFO);
  mnl_attr_put_strz(header, IFLA_INFO_KIND, "veth");
  nlattr* data = mnl_attr_nest_start(header, IFLA_INFO_DATA);
  nlattr* far = mnl_attr_nest_start(header, VETH_INFO_PEER);
  mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg));
  mnl_attr_put_strz(header, IFLA_IFNAME, pair.far_name.c_str());
  mnl_attr_put_u32(header, IFLA_NET_NS_FD, static_cast<std::uint32_t>(pair.far_namespace));
  mnl_attr_nest_end(header, far);
  mnl_attr_nest_end(header, data);
  mnl_attr_nest_end(header, about);
  commit(fmt::format("create interface {} as one of a veth pair", pair.far_name));
}

void NetlinkBatch::change_link(std::uint32_t index, const LinkChange& change) {
  nlmsghdr* header = mnl_nlmsg_put_header(begin());
  header->nlmsg_type = RTM_NEWLINK;
  header->nlmsg_flags = kRequest;
  auto* link = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
  link->ifi_family = AF_UNSPEC;
  link->ifi_index = static_cast<int>(index);
  if (change.up) {
    link->ifi_change = IFF_UP;
    link->ifi_flags = IFF_UP;
  }
  if (change.no_arp) {
    link->ifi_change |= IFF_NOARP;
    link->ifi_flags |= IFF_NOARP;
  }
  if (change.mtu) mnl_attr_put_u32(header, IFLA_MTU, *change.mtu);
  if (change.transmit_queue) mnl_attr_put_u32(header, IFLA_TXQLEN, *change.transmit_queue);
  if (change.mac) {
    mnl_attr_put(header, IFLA_ADDRESS, change.mac->octets.size(), change.mac->octets.data());
  }
  if (change.name) mnl_attr_put_strz(header, IFLA_IFNAME, change.name->c_str());
  if (change.no_automatic_link_local) {
    nlattr* families = mnl_attr_nest_start(header, IFLA_AF_SPEC);
    nlattr* v6 = mnl_attr_nest_start(header, AF_INET6);
    mnl_attr_put_u8(header, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    mnl_attr_nest_end(header, v6);
    mnl_attr_nest_end(header, families);
  }
  commit(fmt::format("set up interface {}{}", index, change.up ? " (up)" : ""));
}

void NetlinkBatch::remove_discipline(std::uint32_t index) {
  nlmsghdr* header = mnl_nlmsg_put_header(begin());
  header->nlmsg_type = RTM_NEWQDISC;
  header->nlmsg_flags = kRequest | NLM_F_CREATE | NLM_F_REPLACE;
  auto* message = static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(tcmsg)));
  message->tcm_family = AF_UNSPEC;
  message->tcm_ifindex = static_cast<int>(index);
  message->tcm_parent = TC_H_ROOT;
  mnl_attr_put_strz(header, TCA_KIND, "noqueue");
  commit(fmt::format("remove the queueing discipline of interface {}", index));
}

void NetlinkBatch::add_address(std::uint32_t index, const wire::IpAddress& address,
                               std::uint8_t length) {
  nlmsghdr* header = mnl_nlmsg_put_header(begin());
  header->nlmsg_type = RTM_NEWADDR;
  header->nlmsg_flags = kRequest | NLM_F_CREATE | NLM_F_REPLACE;
  auto* message = static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifaddrmsg)));
  message->ifa_family = static_cast<std::uint8_t>(sys::address_family(address.family()));
  message->ifa_prefixlen = length;
  message->ifa_index = index;
  message->ifa_scope = address.is_link_local() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  if (!address.is_v4()) message->ifa_flags = IFA_F_NODAD;
  put_address(header, IFA_LOCAL, address);
  put_address(header, IFA_ADDRESS, address);
  commit(fmt::format("add address {}/{}", wire::to_string(address), length));
}

void NetlinkBatch::add_default_route(std::uint32_t index, const wire::IpAddress& gateway) {
  nlmsghdr* header = mnl_nlmsg_put_header(begin());
  header->nlmsg_type = RTM_NEWROUTE;
  header->nlmsg_flags = kRequest | NLM_F_CREATE | NLM_F_REPLACE;
  auto* route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(rtmsg)));
  route->rtm_family = static_cast<std::uint8_t>(sys::address_family(gateway.family()));
  route->rtm_table = RT_TABLE_MAIN;
  route->rtm_protocol = RTPROT_STATIC;
  route->rtm_scope = RT_SCOPE_UNIVERSE;
  route->rtm_type = RTN_UNICAST;
  put_address(header, RTA_GATEWAY, gateway);
  mnl_attr_put_u32(header, RTA_OIF, index);
  commit(fmt::format("add default route by {}", wire::to_string(gateway)));
}

void NetlinkBatch::add_mark_rule(wire::IpFamily family, std::uint32_t mark, std::uint32_t table,
                                 std::uint32_t preference) {
  nlmsghdr* header = mnl_nlmsg_put_header(begin());
  header->nlmsg_type = RTM_NEWRULE;
  // Without NLM_F_EXCL every call would add one more.
  header->nlmsg_flags = kRequest | NLM_F_CREATE | NLM_F_EXCL;
  put_mark_rule(header, {family, mark, table, preference});
  commit(fmt::format("policy rule for a mark ({})", name_of(family)), EEXIST);
}

void NetlinkBatch::remove_mark_rule(wire::IpFamily family, std::uint32_t mark, std::uint32_t table,
                                    std::uint32_t preference) {
  nlmsghdr* header = mnl_nlmsg_put_header(begin());
  header->nlmsg_type = RTM_DELRULE;
  header->nlmsg_flags = kRequest;
  put_mark_rule(header, {family, mark, table, preference});
  commit(fmt::format("remove the policy rule for a mark ({})", name_of(family)), ENOENT);
}

void NetlinkBatch::add_local_route(wire::IpFamily family, std::uint32_t index,
                                   std::uint32_t table) {
  nlmsghdr* header = mnl_nlmsg_put_header(begin());
  header->nlmsg_type = RTM_NEWROUTE;
  header->nlmsg_flags = kRequest | NLM_F_CREATE | NLM_F_REPLACE;
  put_local_route(header, family, index, table);
  commit(fmt::format("local route for every address ({})", name_of(family)));
}

void NetlinkBatch::remove_local_route(wire::IpFamily family, std::uint32_t index,
                                      std::uint32_t table) {
  nlmsghdr* header = mnl_nlmsg_put_header(begin());
  header->nlmsg_type = RTM_DELROUTE;
  header->nlmsg_flags = kRequest;
  put_local_route(header, family, index, table);
  commit(fmt::format("remove the local route for every address ({})", name_of(family)), ESRCH);
}

std::expected<Netlink, sys::SysError> Netlink::open() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd.valid()) return std::unexpected(sys::last_error(sys::SysOp::kNetlink));
  // Errors then come without a copy of the request.
  const int on = 1;
  ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  return Netlink(std::move(fd));
}

std::expected<void, sys::SetupError> Netlink::run(const NetlinkBatch& batch) {
  if (batch.empty()) return {};
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (::sendto(fd_.get(), batch.bytes_.data(), batch.used_, 0,
               reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) < 0) {
    return std::unexpected(sys::SetupError{"send to netlink", errno, ""});
  }
  // The answers are there when the send returns, one a request, in order.
  std::expected<void, sys::SetupError> outcome;
  alignas(nlmsghdr) std::array<char, 8192> answer{};
  for (std::size_t answered = 0; answered < batch.steps_.size();) {
    const ssize_t got = ::recv(fd_.get(), answer.data(), answer.size(), 0);
    if (got < 0) return std::unexpected(sys::SetupError{"read from netlink", errno, ""});
    int left = static_cast<int>(got);
    for (auto* header = reinterpret_cast<nlmsghdr*>(answer.data()); mnl_nlmsg_ok(header, left);
         header = mnl_nlmsg_next(header, &left)) {
      if (header->nlmsg_type != NLMSG_ERROR) continue;
      ++answered;
      const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(header));
      const std::size_t request = header->nlmsg_seq - std::size_t{1};
      if (error->error == 0 || !outcome.has_value() || request >= batch.steps_.size()) continue;
      const NetlinkBatch::Step& step = batch.steps_[request];
      if (-error->error == step.harmless) continue;
      outcome = std::unexpected(sys::SetupError{step.name, -error->error, ""});
    }
  }
  return outcome;
}

std::expected<std::uint32_t, sys::SysError> interface_index(const std::string& name) {
  if (const unsigned index = ::if_nametoindex(name.c_str()); index != 0) return index;
  return std::unexpected(sys::last_error(sys::SysOp::kInterfaceIndex));
}

}  // namespace sluice::netlink
