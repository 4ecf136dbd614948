#include "agent/guest_socket.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "sys/sockaddr.h"
#include "sys/socket_options.h"
#include "unit/sys/loopback.h"

namespace sluice::agent {
namespace {

constexpr wire::IpFamily kV4 = wire::IpFamily::kV4;
constexpr wire::IpFamily kV6 = wire::IpFamily::kV6;

wire::Endpoint any_port(wire::IpFamily family) { return {sys::loopback_of(family), wire::Port{0}}; }

UniqueFd connect_to(const wire::Endpoint& target) {
  UniqueFd fd(::socket(sys::address_family(target.address.family()), SOCK_STREAM | SOCK_CLOEXEC,
                       IPPROTO_TCP));
  const sys::SocketAddress address = sys::to_sockaddr(target);
  if (::connect(fd.get(), address.get(), address.length) != 0) return {};
  return fd;
}

class GuestSockets : public ::testing::TestWithParam<wire::IpFamily> {
 protected:
  void SetUp() override {
    if (!make_guest_socket({.family = GetParam(), .bound = any_port(GetParam())})) {
      GTEST_SKIP() << "no loopback of this family";
    }
  }
};

TEST_P(GuestSockets, OneOfTcpThatIsBoundWaits) {
  const auto made = make_guest_socket({.family = GetParam(), .bound = any_port(GetParam())});
  ASSERT_TRUE(made.has_value()) << made.error().describe();
  EXPECT_EQ(sys::get_option(*made, SOL_SOCKET, SO_ACCEPTCONN), 1);
  EXPECT_EQ(sys::get_option(*made, SOL_SOCKET, SO_REUSEADDR), 1);
  EXPECT_NE(::fcntl(made->get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(made->get(), F_GETFD) & FD_CLOEXEC, 0);
  const auto at = sys::local_endpoint_of(*made);
  ASSERT_TRUE(at.has_value());
  EXPECT_EQ(at->address, sys::loopback_of(GetParam()));
  EXPECT_TRUE(connect_to(*at).valid());
  EXPECT_TRUE(sys::wait_for(made->get(), POLLIN));
}

TEST_P(GuestSockets, OneThatIsNotBoundIsAsItComes) {
  const auto server = make_guest_socket({.family = GetParam(), .bound = any_port(GetParam())});
  const auto made = make_guest_socket({.family = GetParam()});
  ASSERT_TRUE(server.has_value() && made.has_value());
  EXPECT_EQ(sys::get_option(*made, SOL_SOCKET, SO_ACCEPTCONN), 0);
  EXPECT_EQ(sys::get_option(*made, SOL_SOCKET, SO_REUSEADDR), 0);
  EXPECT_EQ(sys::local_endpoint_of(*made)->port, wire::Port{0});
  const sys::SocketAddress address = sys::to_sockaddr(sys::local_endpoint_of(*server).value());
  const int done = ::connect(made->get(), address.get(), address.length);
  EXPECT_TRUE(done == 0 || errno == EINPROGRESS);
  EXPECT_TRUE(sys::wait_for(server->get(), POLLIN));
}

TEST_P(GuestSockets, Datagrams) {
  const auto made =
      make_guest_socket({.family = GetParam(), .datagrams = true, .bound = any_port(GetParam())});
  ASSERT_TRUE(made.has_value()) << made.error().describe();
  EXPECT_EQ(sys::get_option(*made, SOL_SOCKET, SO_REUSEADDR), 0);
  const auto sender = make_guest_socket({.family = GetParam(), .datagrams = true});
  ASSERT_TRUE(sender.has_value());
  const sys::SocketAddress address = sys::to_sockaddr(sys::local_endpoint_of(*made).value());
  ASSERT_EQ(::sendto(sender->get(), "word", 4, 0, address.get(), address.length), 4);
  EXPECT_TRUE(sys::wait_for(made->get(), POLLIN));
}

TEST_P(GuestSockets, APortThatIsTaken) {
  for (const bool datagrams : {false, true}) {
    GuestSocket wanted{.family = GetParam(), .datagrams = datagrams, .bound = any_port(GetParam())};
    const auto first = make_guest_socket(wanted);
    ASSERT_TRUE(first.has_value());
    wanted.bound = sys::local_endpoint_of(*first).value();
    const auto second = make_guest_socket(wanted);
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().error, EADDRINUSE);
  }
}

// A server that is started anew need not wait for what its connections have left behind.
TEST_P(GuestSockets, APortWhoseConnectionsLinger) {
  auto first = make_guest_socket({.family = GetParam(), .bound = any_port(GetParam())});
  ASSERT_TRUE(first.has_value());
  const wire::Endpoint at = sys::local_endpoint_of(*first).value();
  UniqueFd client = connect_to(at);
  ASSERT_TRUE(sys::wait_for(first->get(), POLLIN));
  UniqueFd served(::accept4(first->get(), nullptr, nullptr, SOCK_CLOEXEC));
  served.reset();
  ASSERT_TRUE(sys::wait_for(client.get(), POLLIN));
  client.reset();
  first->reset();
  EXPECT_TRUE(make_guest_socket({.family = GetParam(), .bound = at}).has_value());
}

INSTANTIATE_TEST_SUITE_P(Families, GuestSockets, ::testing::Values(kV4, kV6));

TEST(GuestSocket, TheFamiliesDoNotTakeEachOthersPorts) {
  const wire::IpAddress any_v6 = sys::ip("::");
  const auto v6 = make_guest_socket({.family = kV6, .bound = {{any_v6, wire::Port{0}}}});
  if (!v6) GTEST_SKIP() << "no IPv6 here";
  const wire::Port port = sys::local_endpoint_of(*v6)->port;
  EXPECT_TRUE(make_guest_socket({.bound = {{sys::ip("0.0.0.0"), port}}}).has_value());
}

TEST(GuestSocket, AnAddressThatIsNotOurs) {
  const auto made = make_guest_socket({.bound = {{sys::ip("192.0.2.77"), wire::Port{0}}}});
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error(), (sys::SysError{sys::SysOp::kBind, EADDRNOTAVAIL}));
  EXPECT_FALSE(make_guest_socket({.family = kV6, .bound = any_port(kV4)}).has_value());
}

TEST(GuestSocket, AnOrderIsAnswered) {
  auto [agent, far] = GuestAgent::pair().value();
  answer_socket_order(far.get(), {3, {.bound = any_port(kV4)}});
  answer_socket_order(far.get(), {4, {.bound = {{sys::ip("192.0.2.77"), wire::Port{0}}}}});
  auto message = agent.receive();
  ASSERT_TRUE(message.has_value());
  const auto& made = std::get<AgentSockets>(*message);
  EXPECT_EQ(made.tag, 3U);
  EXPECT_EQ(made.error, 0);
  EXPECT_EQ(made.sockets.size(), 1U);
  message = agent.receive();
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(std::get<AgentSockets>(*message).tag, 4U);
  EXPECT_EQ(std::get<AgentSockets>(*message).error, EADDRNOTAVAIL);
  answer_socket_order(far.get(), {6, {}, kMostSockets});
  message = agent.receive();
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(std::get<AgentSockets>(*message).error, 0);
  EXPECT_EQ(std::get<AgentSockets>(*message).sockets.size(), kMostSockets);
  // Nobody hears of this one.
  agent.close();
  answer_socket_order(far.get(), {5, {}});
}

}  // namespace
}  // namespace sluice::agent
