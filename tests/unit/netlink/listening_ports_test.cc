#include "netlink/listening_ports.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace sluice::netlink {
namespace {

using Kind = ListeningPorts::Kind;

// A socket of the loopback, bound to a port that the kernel picks.
struct Bound {
  UniqueFd fd;
  wire::Endpoint at;
};

Bound bound(int kind, wire::IpFamily family = wire::IpFamily::kV4) {
  const bool v4 = family == wire::IpFamily::kV4;
  Bound made;
  made.fd = UniqueFd(::socket(v4 ? AF_INET : AF_INET6, kind | SOCK_CLOEXEC, 0));
  sockaddr_in6 room{};
  auto* const address = reinterpret_cast<sockaddr*>(&room);
  socklen_t length = v4 ? sizeof(sockaddr_in) : sizeof room;
  if (v4) {
    auto* const in = reinterpret_cast<sockaddr_in*>(&room);
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  } else {
    room.sin6_family = AF_INET6;
    room.sin6_addr = in6addr_loopback;
  }
  EXPECT_EQ(::bind(made.fd.get(), address, length), 0);
  ::getsockname(made.fd.get(), address, &length);
  // Both families have their port at the same place.
  made.at = {wire::parse_ip(v4 ? "127.0.0.1" : "::1").value(), wire::Port{ntohs(room.sin6_port)}};
  return made;
}

Bound listening(wire::IpFamily family = wire::IpFamily::kV4) {
  Bound made = bound(SOCK_STREAM, family);
  EXPECT_EQ(::listen(made.fd.get(), 1), 0);
  return made;
}

bool contains(const std::vector<wire::Endpoint>& all, const wire::Endpoint& one) {
  return std::ranges::find(all, one) != all.end();
}

class ListeningPortsTest : public testing::Test {
 protected:
  ListeningPorts ports_ = ListeningPorts::open().value();
};

TEST_F(ListeningPortsTest, TellsOfListenersOfBothFamiliesUntilTheyGo) {
  for (const auto family : {wire::IpFamily::kV4, wire::IpFamily::kV6}) {
    Bound listener = listening(family);
    EXPECT_TRUE(contains(ports_.ask(Kind::kTcp).value(), listener.at));
    EXPECT_FALSE(contains(ports_.ask(Kind::kUdp).value(), listener.at));
    listener.fd.reset();
    EXPECT_FALSE(contains(ports_.ask(Kind::kTcp).value(), listener.at));
  }
}

TEST_F(ListeningPortsTest, WhoTakesClientsOfBothFamiliesIsToldOfInBoth) {
  for (const int only_v6 : {0, 1}) {
    const UniqueFd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof only_v6), 0);
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    socklen_t length = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    ASSERT_EQ(::bind(fd.get(), generic, length), 0);
    ASSERT_EQ(::listen(fd.get(), 1), 0);
    ASSERT_EQ(::getsockname(fd.get(), generic, &length), 0);
    const wire::Port port{ntohs(address.sin6_port)};
    const auto told = ports_.ask(Kind::kTcp).value();
    EXPECT_TRUE(contains(told, {wire::parse_ip("::").value(), port}));
    EXPECT_EQ(contains(told, {wire::parse_ip("0.0.0.0").value(), port}), only_v6 == 0);
  }
}

TEST_F(ListeningPortsTest, WhoIsBoundAndDoesNotListenWaitsForNobody) {
  const Bound socket = bound(SOCK_STREAM);
  EXPECT_FALSE(contains(ports_.ask(Kind::kTcp).value(), socket.at));
}

TEST_F(ListeningPortsTest, TellsOfUdpSocketsWithoutAPeer) {
  const Bound socket = bound(SOCK_DGRAM);
  EXPECT_TRUE(contains(ports_.ask(Kind::kUdp).value(), socket.at));
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(9);
  peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(socket.fd.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof peer), 0);
  EXPECT_FALSE(contains(ports_.ask(Kind::kUdp).value(), socket.at));
}

TEST_F(ListeningPortsTest, ManyAreToldInSeveralMessages) {
  std::vector<Bound> many;
  for (int i = 0; i < 700; ++i) many.push_back(listening());
  const auto told = ports_.ask(Kind::kTcp).value();
  EXPECT_GE(told.size(), many.size());
  EXPECT_TRUE(std::ranges::is_sorted(told));
  for (const Bound& one : many) EXPECT_TRUE(contains(told, one.at));
}

TEST_F(ListeningPortsTest, ASocketThatIsNoneIsAnError) {
  ListeningPorts none{UniqueFd()};
  EXPECT_FALSE(none.ask(Kind::kTcp).has_value());
}

}  // namespace
}  // namespace sluice::netlink
