#include "box/init/route_requests.h"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstring>
#include <utility>

#include "base/bytes.h"

namespace sluice::box {
namespace {

constexpr std::uint16_t kRequest = NLM_F_REQUEST | NLM_F_ACK;
constexpr std::uint16_t kMake = kRequest | NLM_F_CREATE | NLM_F_REPLACE;

class Message {
 public:
  template <typename Header>
  Message(std::uint16_t type, std::uint16_t flags, const Header& header) {
    nlmsghdr outer{};
    outer.nlmsg_type = type;
    outer.nlmsg_flags = flags;
    outer.nlmsg_seq = 1;
    append(&outer, sizeof outer);
    append(&header, sizeof header);
  }

  void attribute(std::uint16_t type, ByteView value) {
    const std::size_t at = begin(type);
    append(value.data(), value.size());
    finish(at);
  }
  void number(std::uint16_t type, std::uint32_t value) {
    const std::size_t at = begin(type);
    append(&value, sizeof value);
    finish(at);
  }
  void text(std::uint16_t type, const std::string& value) {
    const std::size_t at = begin(type);
    append(value.c_str(), value.size() + 1);
    finish(at);
  }
  void address(std::uint16_t type, const wire::IpAddress& value) {
    if (value.is_v4()) {
      attribute(type, value.v4_octets());
    } else {
      attribute(type, value.octets());
    }
  }
  // An attribute that has others: those that are added until finish() of what this returns.
  std::size_t begin(std::uint16_t type) {
    const std::size_t at = bytes_.size();
    const nlattr header{.nla_len = 0, .nla_type = type};
    append(&header, sizeof header);
    return at;
  }
  void finish(std::size_t at) {
    const auto length = static_cast<std::uint16_t>(bytes_.size() - at);
    std::memcpy(bytes_.data() + at + offsetof(nlattr, nla_len), &length, sizeof length);
    bytes_.resize(NLA_ALIGN(bytes_.size()));
  }

  RouteRequest named(std::string step) && {
    const auto length = static_cast<std::uint32_t>(bytes_.size());
    std::memcpy(bytes_.data() + offsetof(nlmsghdr, nlmsg_len), &length, sizeof length);
    return {std::move(step), std::move(bytes_)};
  }

 private:
  void append(const void* data, std::size_t size) {
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    bytes_.insert(bytes_.end(), bytes, bytes + size);
  }
  std::vector<std::uint8_t> bytes_;
};

Message link_message(std::uint32_t index, unsigned flags = 0) {
  ifinfomsg link{};
  link.ifi_family = AF_UNSPEC;
  link.ifi_index = static_cast<int>(index);
  link.ifi_flags = flags;
  link.ifi_change = flags;
  return {RTM_NEWLINK, kRequest, link};
}

std::uint8_t family_of(const wire::IpAddress& address) {
  return address.is_v4() ? AF_INET : AF_INET6;
}

// 169.254.0.0/16 and fe80::/10.
bool is_link_local(const wire::IpAddress& address) {
  if (address.is_v4()) return address.v4_value() >> 16 == 0xa9fe;
  return address.octets()[0] == 0xfe && (address.octets()[1] & 0xc0) == 0x80;
}

}  // namespace

RouteRequest rename_link(std::uint32_t index, const std::string& name) {
  Message message = link_message(index);
  message.text(IFLA_IFNAME, name);
  return std::move(message).named("name the network interface " + name);
}

RouteRequest no_automatic_link_local(std::uint32_t index) {
  Message message = link_message(index);
  const std::size_t families = message.begin(IFLA_AF_SPEC);
  const std::size_t v6 = message.begin(AF_INET6);
  const std::uint8_t mode = IN6_ADDR_GEN_MODE_NONE;
  message.attribute(IFLA_INET6_ADDR_GEN_MODE, ByteView(&mode, 1));
  message.finish(v6);
  message.finish(families);
  return std::move(message).named("keep the kernel from link-local addresses");
}

RouteRequest set_mtu(std::uint32_t index, std::uint32_t mtu) {
  Message message = link_message(index);
  message.number(IFLA_MTU, mtu);
  return std::move(message).named("set the MTU to " + std::to_string(mtu));
}

RouteRequest link_up(std::uint32_t index) {
  return link_message(index, IFF_UP).named("bring interface " + std::to_string(index) + " up");
}

RouteRequest add_address(std::uint32_t index, const wire::IpAddress& address,
                         std::uint8_t prefix_length) {
  ifaddrmsg header{};
  header.ifa_family = family_of(address);
  header.ifa_prefixlen = prefix_length;
  header.ifa_index = index;
  header.ifa_scope = is_link_local(address) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  if (!address.is_v4()) header.ifa_flags = IFA_F_NODAD;
  Message message(RTM_NEWADDR, kMake, header);
  message.address(IFA_LOCAL, address);
  message.address(IFA_ADDRESS, address);
  return std::move(message).named(address.is_v4() ? "add the IPv4 address" : "add an IPv6 address");
}

RouteRequest add_default_route(std::uint32_t index, const wire::IpAddress& gateway) {
  rtmsg header{};
  header.rtm_family = family_of(gateway);
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_scope = RT_SCOPE_UNIVERSE;
  header.rtm_type = RTN_UNICAST;
  Message message(RTM_NEWROUTE, kMake, header);
  message.address(RTA_GATEWAY, gateway);
  message.number(RTA_OIF, index);
  return std::move(message).named(gateway.is_v4() ? "add the IPv4 default route"
                                                  : "add the IPv6 default route");
}

wire::IpAddress link_local_of(const wire::MacAddress& mac) {
  const auto& m = mac.octets;
  const std::array<std::uint8_t, 16> octets = {
      0xfe, 0x80, 0,    0,    0,    0,    0,   0, static_cast<std::uint8_t>(m[0] ^ 2U),
      m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]};
  return wire::IpAddress::v6(octets);
}

}  // namespace sluice::box
