#include "box/init/route_requests.h"

#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <cstring>
#include <map>
#include <vector>

#include "netlink/netlink_attributes.h"

namespace sluice::box {
namespace {

// What libmnl finds in a message whose own header has that size, by type.
std::map<std::uint16_t, std::vector<std::uint8_t>> attributes(const RouteRequest& request,
                                                              std::size_t header_size) {
  const auto* message = reinterpret_cast<const nlmsghdr*>(request.bytes.data());
  EXPECT_TRUE(mnl_nlmsg_ok(message, static_cast<int>(request.bytes.size()))) << request.step;
  std::map<std::uint16_t, std::vector<std::uint8_t>> found;
  netlink::for_each_attribute(*message, header_size, [&found](const nlattr& attribute) {
    const auto* value = static_cast<const std::uint8_t*>(mnl_attr_get_payload(&attribute));
    found[mnl_attr_get_type(&attribute)].assign(value,
                                                value + mnl_attr_get_payload_len(&attribute));
  });
  return found;
}

template <typename Header>
Header header_of(const RouteRequest& request) {
  Header header{};
  std::memcpy(&header, request.bytes.data() + NLMSG_HDRLEN, sizeof header);
  return header;
}

TEST(RouteRequests, LinksAreChanged) {
  auto found = attributes(rename_link(2, "net7"), sizeof(ifinfomsg));
  EXPECT_EQ(found[IFLA_IFNAME], (std::vector<std::uint8_t>{'n', 'e', 't', '7', 0}));
  found = attributes(set_mtu(2, 65520), sizeof(ifinfomsg));
  EXPECT_EQ(found[IFLA_MTU], (std::vector<std::uint8_t>{0xf0, 0xff, 0, 0}));
  const auto up = header_of<ifinfomsg>(link_up(3));
  EXPECT_EQ(up.ifi_index, 3);
  EXPECT_EQ(up.ifi_flags & up.ifi_change, 1U) << "IFF_UP";
  found = attributes(no_automatic_link_local(2), sizeof(ifinfomsg));
  EXPECT_EQ(found[IFLA_AF_SPEC], (std::vector<std::uint8_t>{
                                     12, 0, 10, 0, 5, 0, IFLA_INET6_ADDR_GEN_MODE, 0, 1, 0, 0, 0}));
}

TEST(RouteRequests, AddressesAreUsableAtOnce) {
  const auto v4 = add_address(2, wire::IpAddress::v4(0x0a00020f), 24);
  auto found = attributes(v4, sizeof(ifaddrmsg));
  EXPECT_EQ(found[IFA_LOCAL], (std::vector<std::uint8_t>{10, 0, 2, 15}));
  EXPECT_EQ(found[IFA_ADDRESS], found[IFA_LOCAL]);
  EXPECT_EQ(header_of<ifaddrmsg>(v4).ifa_prefixlen, 24);
  EXPECT_EQ(header_of<ifaddrmsg>(v4).ifa_family, AF_INET);
  const auto v6 = add_address(2, link_local_of({{0x52, 0x54, 0, 1, 2, 3}}), 64);
  found = attributes(v6, sizeof(ifaddrmsg));
  EXPECT_EQ(found[IFA_LOCAL], (std::vector<std::uint8_t>{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x50, 0x54,
                                                         0, 0xff, 0xfe, 1, 2, 3}));
  EXPECT_EQ(header_of<ifaddrmsg>(v6).ifa_flags, IFA_F_NODAD);
  EXPECT_EQ(header_of<ifaddrmsg>(v6).ifa_scope, RT_SCOPE_LINK);
}

TEST(RouteRequests, ARouteGoesByItsGateway) {
  const auto request = add_default_route(7, wire::IpAddress::v4(0x0a000202));
  auto found = attributes(request, sizeof(rtmsg));
  EXPECT_EQ(found[RTA_GATEWAY], (std::vector<std::uint8_t>{10, 0, 2, 2}));
  EXPECT_EQ(found[RTA_OIF], (std::vector<std::uint8_t>{7, 0, 0, 0}));
  EXPECT_EQ(header_of<rtmsg>(request).rtm_dst_len, 0);
}

}  // namespace
}  // namespace sluice::box
