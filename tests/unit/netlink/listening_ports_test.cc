#include "netlink/listening_ports.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "host/listener.h"
#include "host/udp_socket.h"
#include "sys/kernel.h"

namespace sluice::netlink {
namespace {

using Kind = ListeningPorts::Kind;

wire::Endpoint at(const char* address) { return {wire::parse_ip(address).value(), wire::Port{}}; }

bool contains(const std::vector<wire::Endpoint>& all, const wire::Endpoint& one) {
  return std::ranges::find(all, one) != all.end();
}

class ListeningPortsTest : public testing::Test {
 protected:
  ListeningPorts ports_ = ListeningPorts::open().value();
};

TEST_F(ListeningPortsTest, TellsOfListenersOfBothFamiliesUntilTheyGo) {
  for (const char* const address : {"127.0.0.1", "::1"}) {
    auto listener = host::TcpListener::open(sys::real_kernel(), at(address)).value();
    const wire::Endpoint local = listener.local_endpoint().value();
    EXPECT_TRUE(contains(ports_.ask(Kind::kTcp).value(), local)) << address;
    EXPECT_FALSE(contains(ports_.ask(Kind::kUdp).value(), local)) << address;
    listener.close();
    EXPECT_FALSE(contains(ports_.ask(Kind::kTcp).value(), local)) << address;
  }
}

TEST_F(ListeningPortsTest, TellsOfUdpSocketsWithoutAPeer) {
  auto socket =
      host::UdpSocket::open(sys::real_kernel(), wire::IpFamily::kV4, {.bind = at("127.0.0.1")})
          .value();
  const wire::Endpoint local = socket.local_endpoint().value();
  EXPECT_TRUE(contains(ports_.ask(Kind::kUdp).value(), local));
  ASSERT_TRUE(socket.connect({local.address, wire::Port{9}}).has_value());
  EXPECT_FALSE(contains(ports_.ask(Kind::kUdp).value(), local));
}

TEST_F(ListeningPortsTest, ManyAreToldInSeveralMessages) {
  std::vector<host::TcpListener> many;
  for (int i = 0; i < 700; ++i) {
    many.push_back(host::TcpListener::open(sys::real_kernel(), at("127.0.0.1")).value());
  }
  const auto told = ports_.ask(Kind::kTcp).value();
  EXPECT_GE(told.size(), many.size());
  EXPECT_TRUE(std::ranges::is_sorted(told));
  for (const host::TcpListener& one : many) {
    EXPECT_TRUE(contains(told, one.local_endpoint().value()));
  }
}

TEST_F(ListeningPortsTest, ASocketThatIsNoneIsAnError) {
  ListeningPorts none{UniqueFd()};
  EXPECT_FALSE(none.ask(Kind::kTcp).has_value());
}

}  // namespace
}  // namespace sluice::netlink
