#include "app/guest/network_choice.h"

#include <gtest/gtest.h>

namespace sluice::app {
namespace {

netlink::HostRoutes routes(std::initializer_list<std::string_view> networks, bool default_v4 = true,
                           bool default_v6 = true) {
  netlink::HostRoutes list{.networks = {}, .default_v4 = default_v4, .default_v6 = default_v6};
  for (const std::string_view text : networks) {
    list.networks.push_back(wire::parse_prefix(text).value());
  }
  return list;
}

std::string addresses(const flow::GuestNetwork& n) {
  return wire::to_string(n.guest_v4) + " " + wire::to_string(n.gateway_v4) + " " +
         wire::to_string(n.dns_v4) + " " + wire::to_string(n.guest_v6) + " " +
         wire::to_string(n.gateway_v6) + " " + wire::to_string(n.dns_v6);
}

TEST(NetworkChoice, TheUsualNetworkWhereItHidesNothing) {
  for (const auto& host : {routes({}), routes({"192.168.1.0/24", "10.0.0.0/24", "fd01::/64"}),
                           routes({"172.17.0.0/16", "10.0.1.0/24", "2001:db8::/32"})}) {
    const NetworkChoice choice = choose_network({}, host);
    EXPECT_EQ(addresses(choice.network), "10.0.2.15 10.0.2.2 10.0.2.3 fd00::15 fd00::2 fd00::3");
    EXPECT_TRUE(choice.ipv4_default_route);
    EXPECT_TRUE(choice.warnings.empty());
  }
}

TEST(NetworkChoice, AnotherWhereTheUsualIsTheHosts) {
  EXPECT_EQ(addresses(choose_network({}, routes({"10.0.2.0/24"})).network),
            "10.0.3.15 10.0.3.2 10.0.3.3 fd00::15 fd00::2 fd00::3");
  EXPECT_EQ(addresses(choose_network({}, routes({"10.0.2.128/25", "fd00::/64"})).network),
            "10.0.3.15 10.0.3.2 10.0.3.3 fd00:0:0:2::15 fd00:0:0:2::2 fd00:0:0:2::3");
  const NetworkChoice vpn = choose_network({}, routes({"10.0.0.0/8", "fd00::/8"}));
  EXPECT_EQ(wire::to_string(vpn.network.guest_v4), "192.168.127.15");
  ASSERT_EQ(vpn.warnings.size(), 1u);
  EXPECT_EQ(vpn.warnings[0],
            "the guest's network fd00::/64 hides fd00::/8 of the host from it; --address "
            "chooses another");
}

TEST(NetworkChoice, WhatTheUserNamedStaysAndIsWarnedOf) {
  GuestOptions options;
  options.chosen_v4 = true;
  const NetworkChoice choice = choose_network(options, routes({"10.0.2.0/25"}));
  EXPECT_EQ(wire::to_string(choice.network.guest_v4), "10.0.2.15");
  ASSERT_EQ(choice.warnings.size(), 1u);
  EXPECT_TRUE(choice.warnings[0].starts_with("the guest's network 10.0.2.0/24 hides 10.0.2.0/25"));
}

TEST(NetworkChoice, WhereQuestionsAreAnsweredElsewhereThatStays) {
  GuestOptions options;
  options.network.dns_v4 = *wire::parse_ip("169.254.1.1");
  options.network.dns_v6 = *wire::parse_ip("fd00:53::1");
  const NetworkChoice choice = choose_network(options, routes({"10.0.2.0/24", "fd00::/64"}));
  EXPECT_EQ(wire::to_string(choice.network.guest_v4), "10.0.3.15");
  EXPECT_EQ(wire::to_string(choice.network.dns_v4), "169.254.1.1");
  EXPECT_NE(wire::to_string(choice.network.guest_v6), "fd00::15");
  EXPECT_EQ(wire::to_string(choice.network.dns_v6), "fd00:53::1");
}

TEST(NetworkChoice, NoWayByIpv4WhereTheHostHasNone) {
  EXPECT_FALSE(choose_network({}, routes({"2001:db8::/64"}, false, true)).ipv4_default_route);
  EXPECT_TRUE(choose_network({}, routes({"192.0.2.0/24"}, false, true)).ipv4_default_route);
  EXPECT_TRUE(choose_network({}, routes({}, true, true)).ipv4_default_route);
  // Nothing is known of a host without any way: one may come.
  EXPECT_TRUE(choose_network({}, routes({}, false, false)).ipv4_default_route);
  GuestOptions options;
  options.network.ipv6 = false;
  EXPECT_TRUE(choose_network(options, routes({}, false, true)).ipv4_default_route);
  options = {};
  options.chosen_v4 = true;
  EXPECT_TRUE(choose_network(options, routes({}, false, true)).ipv4_default_route);
}

}  // namespace
}  // namespace sluice::app
