#include "serve/ports/port_follower.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace sluice::serve {
namespace {

using policy::Protocol;

class Ports final : public PortSet {
 public:
  std::expected<policy::PortMap, Refusal> publish(const policy::PortMap& map) override {
    ++asked;
    if (map.host_first == taken) return std::unexpected(Refusal{"cannot-listen", "taken"});
    all.push_back(map);
    return map;
  }
  bool unpublish(const policy::PortMap& map) override { return std::erase(all, map) > 0; }
  [[nodiscard]] bool has(const policy::PortMap& map) const override {
    return std::ranges::find(all, map) != all.end();
  }
  [[nodiscard]] bool waits_at(policy::Protocol, const wire::Endpoint&) const override {
    return false;
  }
  [[nodiscard]] std::string text() const {
    std::string text;
    for (const policy::PortMap& map : all) text += (text.empty() ? "" : " ") + to_string(map);
    return text;
  }

  std::vector<policy::PortMap> all;
  wire::Port taken{9};
  int asked = 0;
};

wire::Endpoint at(const char* address, unsigned port) {
  return {wire::parse_ip(address).value(), wire::Port{static_cast<std::uint16_t>(port)}};
}

class PortFollowerTest : public testing::Test {
 protected:
  static FollowedPorts like(Protocol protocol, const char* address = nullptr) {
    FollowedPorts ports;
    ports.like.protocol = protocol;
    if (address != nullptr) ports.like.address = wire::parse_ip(address).value();
    return ports;
  }

  Ports ports_;
  flow::GuestNetwork network_;
  PortFollower follower_{ports_, network_, {.ports = {like(Protocol::kTcp), like(Protocol::kUdp)}}};
};

TEST_F(PortFollowerTest, PortsComeAndGoWithWhoWaits) {
  follower_.look(Protocol::kTcp, std::array{at("0.0.0.0", 80), at("::", 80), at("::", 81)});
  EXPECT_EQ(ports_.text(), "80:80 81:81");
  follower_.look(Protocol::kUdp, std::array{at("0.0.0.0", 53)});
  EXPECT_EQ(ports_.text(), "80:80 81:81 53:53/udp");
  follower_.look(Protocol::kTcp, std::array{at("::", 81)});
  EXPECT_EQ(ports_.text(), "81:81 53:53/udp");
  follower_.look(Protocol::kTcp, {});
  follower_.look(Protocol::kUdp, {});
  EXPECT_EQ(ports_.text(), "");
}

TEST_F(PortFollowerTest, WhoCannotBeReachedAndWhoOnlyAsksIsNotFollowed) {
  follower_.look(Protocol::kTcp, std::array{at("127.0.0.2", 80), at("192.0.2.1", 82), at("::", 0),
                                            at("10.0.2.15", 83), at("fd00::15", 84)});
  EXPECT_EQ(ports_.text(), "83:83 84:84");
  follower_.look(Protocol::kUdp, std::array{at("0.0.0.0", 68), at("::", 546), at("0.0.0.0", 40'000),
                                            at("127.0.0.2", 53), at("127.0.0.1", 68)});
  EXPECT_EQ(ports_.text(), "83:83 84:84");
}

TEST_F(PortFollowerTest, WhatTheHostCannotGiveIsAskedForOnce) {
  const std::array waiting{at("0.0.0.0", 9)};
  for (int i = 0; i < 3; ++i) follower_.look(Protocol::kTcp, waiting);
  EXPECT_EQ(ports_.asked, 1);
  follower_.look(Protocol::kTcp, {});
  follower_.look(Protocol::kTcp, waiting);
  EXPECT_EQ(ports_.asked, 2) << "the guest opened it anew";
}

TEST_F(PortFollowerTest, EachPlaceOfTheHostHasThePort) {
  PortFollower follower(
      ports_, network_,
      {.ports = {like(Protocol::kTcp, "127.0.0.1"), like(Protocol::kTcp, "::1")}});
  EXPECT_TRUE(follower.follows(Protocol::kTcp));
  EXPECT_FALSE(follower.follows(Protocol::kUdp));
  follower.look(Protocol::kTcp, std::array{at("::", 80)});
  EXPECT_EQ(ports_.text(), "127.0.0.1:80:80 [::1]:80:80");
}

TEST_F(PortFollowerTest, WhoWaitsAtTheGuestsLoopbackIsForTheHosts) {
  follower_.look(Protocol::kTcp, std::array{at("127.0.0.1", 80), at("::1", 81), at("127.0.0.1", 82),
                                            at("::1", 82)});
  EXPECT_EQ(ports_.text(), "127.0.0.1:80:80 [::1]:81:81 127.0.0.1:82:82 [::1]:82:82");
  follower_.look(Protocol::kTcp, std::array{at("::1", 82)});
  EXPECT_EQ(ports_.text(), "[::1]:82:82");
}

TEST_F(PortFollowerTest, SoAreThoseOfUdp) {
  follower_.look(Protocol::kUdp,
                 std::array{at("127.0.0.1", 53), at("::1", 54), at("127.0.0.1", 40'000)});
  EXPECT_EQ(ports_.text(), "127.0.0.1:53:53/udp [::1]:54:54/udp");
  follower_.look(Protocol::kUdp, std::array{at("127.0.0.1", 53), at("::", 53), at("::1", 54)});
  EXPECT_EQ(ports_.text(), "[::1]:54:54/udp 53:53/udp");
  follower_.look(Protocol::kUdp, {});
  EXPECT_EQ(ports_.text(), "");
}

TEST_F(PortFollowerTest, WhoWaitsEverywhereTakesThePlaceOfWhoWaitsAtTheLoopback) {
  const std::array both{at("127.0.0.1", 80), at("10.0.2.15", 80)};
  const std::span<const wire::Endpoint> own = std::span(both).first(1);
  follower_.look(Protocol::kTcp, own);
  follower_.look(Protocol::kTcp, both);
  EXPECT_EQ(ports_.text(), "80:80");
  follower_.look(Protocol::kTcp, both);
  EXPECT_EQ(ports_.asked, 2) << "nothing has changed";
  follower_.look(Protocol::kTcp, own);
  EXPECT_EQ(ports_.text(), "127.0.0.1:80:80");
}

TEST_F(PortFollowerTest, OnlyPlacesThatClientsOfTheLoopbackComeByCountForIt) {
  FollowedPorts by_eth0 = like(Protocol::kTcp);
  by_eth0.like.interface = "eth0";
  FollowedPorts by_lo = like(Protocol::kTcp, "::");
  by_lo.like.interface = "lo";
  PortFollower follower(ports_, network_,
                        {.ports = {by_eth0, by_lo, like(Protocol::kTcp, "192.0.2.1"),
                                   like(Protocol::kTcp, "127.0.0.5"), like(Protocol::kUdp)}});
  follower.look(Protocol::kTcp, std::array{at("127.0.0.1", 80), at("::1", 81)});
  EXPECT_EQ(ports_.text(), "127.0.0.5:80:80 [::1]:81:81");
}

TEST_F(PortFollowerTest, SomeAreLeftOutAtSomePlaces) {
  FollowedPorts at_loopback = like(Protocol::kTcp, "127.0.0.1");
  at_loopback.except = {{22, 22}, {80, 90}};
  FollowedPorts at_other = like(Protocol::kTcp, "192.0.2.1");
  at_other.except = {{22, 22}};
  PortFollower follower(ports_, network_, {.ports = {at_loopback, at_other}});
  follower.look(Protocol::kTcp,
                std::array{at("0.0.0.0", 22), at("0.0.0.0", 79), at("0.0.0.0", 80)});
  EXPECT_EQ(ports_.text(), "127.0.0.1:79:79 192.0.2.1:79:79 192.0.2.1:80:80");
}

TEST_F(PortFollowerTest, WhatLeadsFromTheGuestsLoopbackToUsDoesNotLeadBack) {
  const policy::PortMap ours{.protocol = Protocol::kTcp,
                             .address = {},
                             .host_first = wire::Port{80},
                             .guest_first = wire::Port{8080},
                             .count = 2};
  PortFollower follower(ports_, network_, {.ports = {like(Protocol::kTcp)}, .loopback = {ours}});
  follower.look(Protocol::kTcp, std::array{at("127.0.0.1", 8080), at("::1", 8081),
                                           at("127.0.0.1", 8082), at("10.0.2.15", 8081)});
  EXPECT_EQ(ports_.text(), "8081:8081 127.0.0.1:8082:8082");
}

TEST_F(PortFollowerTest, WhatLeadsOutIsOfOneProtocol) {
  const policy::PortMap ours{.protocol = Protocol::kUdp,
                             .address = {},
                             .host_first = wire::Port{80},
                             .guest_first = wire::Port{8080}};
  PortFollower follower(ports_, network_,
                        {.ports = {like(Protocol::kTcp), like(Protocol::kUdp)},
                         .loopback = {ours},
                         .leads_out = [](Protocol protocol, wire::Port port) {
                           return protocol == Protocol::kUdp && port.value == 8081;
                         }});
  const std::array waiting{at("127.0.0.1", 8080), at("::1", 8081), at("::1", 8082)};
  follower.look(Protocol::kUdp, waiting);
  EXPECT_EQ(ports_.text(), "[::1]:8082:8082/udp");
  follower.look(Protocol::kTcp, std::span(waiting).first(2));
  EXPECT_EQ(ports_.text(), "[::1]:8082:8082/udp 127.0.0.1:8080:8080 [::1]:8081:8081");
}

TEST_F(PortFollowerTest, WhereNobodyIsLedToTheGuestsLoopbackItIsNotFollowed) {
  PortFollower follower(ports_, network_,
                        {.ports = {like(Protocol::kTcp), like(Protocol::kUdp)},
                         .call_guest = policy::LoopbackUse::kNever});
  follower.look(Protocol::kTcp, std::array{at("127.0.0.1", 80), at("::", 81)});
  follower.look(Protocol::kUdp, std::array{at("::1", 53)});
  EXPECT_EQ(ports_.text(), "81:81");
}

TEST_F(PortFollowerTest, AGuestThatWaitsEverywhereGetsABoundedShare) {
  std::vector<wire::Endpoint> everywhere;
  for (unsigned port = 1000; port < 5000; ++port) everywhere.push_back(at("::", port));
  follower_.look(Protocol::kTcp, everywhere);
  EXPECT_EQ(ports_.all.size(), PortFollower::kNewMax);
  for (int i = 0; i < 100; ++i) follower_.look(Protocol::kTcp, everywhere);
  EXPECT_EQ(ports_.all.size(), PortFollower::kPortsMax);
  follower_.look(Protocol::kTcp, {});
  EXPECT_TRUE(ports_.all.empty());
}

TEST_F(PortFollowerTest, WhatLeadsOutJustNowIsNotFollowed) {
  bool leads_out = true;
  PortFollower follower(
      ports_, network_,
      {.ports = {like(Protocol::kTcp)}, .leads_out = [&](Protocol protocol, wire::Port port) {
         return leads_out && protocol == Protocol::kTcp && port.value == 80;
       }});
  const std::array waiting{at("127.0.0.1", 80), at("127.0.0.1", 81)};
  follower.look(Protocol::kTcp, waiting);
  EXPECT_EQ(ports_.text(), "127.0.0.1:81:81");
  leads_out = false;
  follower.look(Protocol::kTcp, waiting);
  EXPECT_EQ(ports_.text(), "127.0.0.1:81:81 127.0.0.1:80:80");
}

}  // namespace
}  // namespace sluice::serve
