#include "serve/ports/host_port_follower.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>

namespace sluice::serve {
namespace {

using policy::Protocol;

wire::Endpoint at(const char* address, unsigned port) {
  return {wire::parse_ip(address).value(), wire::Port{static_cast<std::uint16_t>(port)}};
}

class HostPortFollowerTest : public testing::Test {
 protected:
  HostPortFollower follower(std::vector<policy::PortMap> named = {},
                            std::vector<policy::PortRange> except = {}) {
    FollowedPorts tcp;
    tcp.except = std::move(except);
    FollowedPorts udp;
    udp.like.protocol = Protocol::kUdp;
    return {{.what = {.ports = {std::move(tcp), std::move(udp)}},
             .named = std::move(named),
             .is_ours = [this](Protocol protocol,
                               const wire::Endpoint& at) { return ours_ == Ours{protocol, at}; }},
            [this](const std::vector<policy::PortMap>& all) {
              ++changes_;
              all_ = all;
            }};
  }
  [[nodiscard]] std::string text() const {
    std::string text;
    for (const policy::PortMap& map : all_) text += (text.empty() ? "" : " ") + to_string(map);
    return text;
  }

  using Ours = std::pair<Protocol, wire::Endpoint>;
  std::optional<Ours> ours_;
  std::vector<policy::PortMap> all_;
  int changes_ = 0;
};

TEST_F(HostPortFollowerTest, PortsComeAndGoWithWhoWaits) {
  HostPortFollower one = follower();
  one.look(Protocol::kTcp, std::array{at("127.0.0.1", 80), at("::1", 81)});
  EXPECT_EQ(text(), "127.0.0.1:80:80 [::1]:81:81");
  one.look(Protocol::kUdp, std::array{at("127.0.0.1", 53)});
  EXPECT_EQ(text(), "127.0.0.1:80:80 [::1]:81:81 127.0.0.1:53:53/udp");
  one.look(Protocol::kTcp, std::array{at("::1", 81)});
  EXPECT_EQ(text(), "[::1]:81:81 127.0.0.1:53:53/udp");
  EXPECT_EQ(changes_, 3);
  one.look(Protocol::kTcp, std::array{at("::1", 81)});
  EXPECT_EQ(changes_, 3) << "nothing has changed";
  one.look(Protocol::kTcp, {});
  one.look(Protocol::kUdp, {});
  EXPECT_EQ(text(), "");
}

TEST_F(HostPortFollowerTest, WhoWaitsAtAllAddressesIsAtTheLoopbackToo) {
  HostPortFollower one = follower();
  one.look(Protocol::kTcp, std::array{at("0.0.0.0", 80), at("::", 81)});
  EXPECT_EQ(text(), "127.0.0.1:80:80 [::1]:81:81");
}

TEST_F(HostPortFollowerTest, WhoCannotBeReachedAndWhoOnlyAsksIsNotFollowed) {
  HostPortFollower one = follower();
  one.look(Protocol::kTcp, std::array{at("127.0.0.53", 53), at("192.0.2.1", 80), at("::", 0)});
  one.look(Protocol::kUdp, std::array{at("0.0.0.0", 68), at("::", 546), at("0.0.0.0", 32'768),
                                      at("127.0.0.1", 60'999)});
  EXPECT_EQ(changes_, 0);
  one.look(Protocol::kTcp, std::array{at("127.0.0.1", 40'000)});
  EXPECT_EQ(text(), "127.0.0.1:40000:40000") << "who listens waits for clients";
}

TEST_F(HostPortFollowerTest, SomeAreLeftOut) {
  HostPortFollower one = follower({}, {{22, 22}, {6000, 6010}});
  one.look(Protocol::kTcp, std::array{at("127.0.0.1", 22), at("0.0.0.0", 6010), at("::1", 23)});
  one.look(Protocol::kUdp, std::array{at("127.0.0.1", 22)});
  EXPECT_EQ(text(), "[::1]:23:23 127.0.0.1:22:22/udp");
}

TEST_F(HostPortFollowerTest, WhatIsOurOwnAndWhatIsNamedIsNotFollowed) {
  ours_ = {Protocol::kTcp, at("0.0.0.0", 8080)};
  policy::PortMap named;
  named.guest_first = wire::Port{80};
  named.host_first = wire::Port{8000};
  named.count = 2;
  HostPortFollower one = follower({named});
  one.look(Protocol::kTcp, std::array{at("0.0.0.0", 80), at("127.0.0.1", 81), at("0.0.0.0", 8080)});
  EXPECT_EQ(changes_, 0);
  one.look(Protocol::kTcp, std::array{at("127.0.0.1", 82)});
  EXPECT_EQ(text(), "8000-8001:80-81 127.0.0.1:82:82") << "the named are told along";
  one.look(Protocol::kUdp, std::array{at("0.0.0.0", 8080)});
  EXPECT_TRUE(text().contains("8080/udp")) << "of the other protocol it is somebody else's";
}

TEST_F(HostPortFollowerTest, OfTooManyThoseStayThatLeadOutAlready) {
  policy::PortMap named;
  named.guest_first = named.host_first = wire::Port{1};
  named.count = 2;
  HostPortFollower one = follower({named});
  one.look(Protocol::kTcp, std::array{at("0.0.0.0", 9000), at("::", 9000)});
  std::vector<wire::Endpoint> many;
  for (unsigned port = 3000; port < 3000 + HostPortFollower::kPortsMax; ++port) {
    many.push_back(at("127.0.0.1", port));
  }
  many.push_back(at("0.0.0.0", 9000));
  many.push_back(at("::", 9000));
  one.look(Protocol::kTcp, many);
  // Both families of a port are one, and so are those that are named.
  EXPECT_EQ(all_.size(), 1 + (HostPortFollower::kPortsMax - 3) + 2);
  EXPECT_TRUE(text().ends_with("127.0.0.1:9000:9000 [::1]:9000:9000"));
  one.look(Protocol::kUdp, std::array{at("::1", 53)});
  EXPECT_TRUE(text().ends_with("[::1]:53:53/udp")) << "UDP has as many of its own";
}

}  // namespace
}  // namespace sluice::serve
