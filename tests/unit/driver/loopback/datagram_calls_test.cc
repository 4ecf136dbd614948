#include "driver/loopback/datagram_calls.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>

#include "sys/sockaddr.h"
#include "unit/driver/fast_path/hand_overs_fixture.h"

namespace sluice::driver {
namespace {

using flow::test::endpoint;

// A client of a published port, and a server at the guest's loopback, which is this process' own.
class DatagramCallsTest : public FastPathFixture {
 protected:
  DatagramCallsTest() {
    server_ = open();
    publish();
  }

  static host::UdpSocket open() {
    auto socket =
        host::UdpSocket::open(sys::real_kernel(), wire::IpFamily::kV4,
                              {.bind = endpoint("127.0.0.1:0"), .receive_offload = false});
    EXPECT_TRUE(socket.has_value());
    return std::move(*socket);
  }
  void publish() {
    engine().udp().set_call_guest(policy::LoopbackUse::kFirst);
    host::UdpSocket socket = open();
    published_ = socket.local_endpoint().value();
    id_ = engine().udp().publish({network().guest_v4, server_.local_endpoint().value().port});
    EXPECT_TRUE(udp->adopt(id_, std::move(socket)).has_value());
  }
  void answer_orders(int error = 0) {
    for (const agent::SocketOrder& order : take_orders<agent::SocketOrder>()) {
      EXPECT_TRUE(order.socket.datagrams);
      const UniqueFd made(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      const int fd = made.get();
      ASSERT_TRUE(
          agent::send_sockets(agent.get(), order.tag, error, std::span(&fd, error == 0 ? 1 : 0)));
    }
    turn();
  }
  void write(const host::UdpSocket& from, const wire::Endpoint& to, const std::string& text) {
    const sys::SocketAddress address = sys::to_sockaddr(to);
    ASSERT_EQ(::sendto(from.fd(), text.data(), text.size(), 0, address.get(), address.length),
              static_cast<ssize_t>(text.size()));
    turn();
  }
  // What arrives, and from where.
  std::pair<std::string, wire::Endpoint> heard(const host::UdpSocket& by) {
    std::pair<std::string, wire::Endpoint> got;
    EXPECT_TRUE(turn_until([&] {
      std::array<char, 100> bytes{};
      sockaddr_storage name{};
      socklen_t length = sizeof name;
      const ssize_t count = ::recvfrom(by.fd(), bytes.data(), bytes.size(), MSG_DONTWAIT,
                                       reinterpret_cast<sockaddr*>(&name), &length);
      if (count < 0) return false;
      got = {std::string(bytes.data(), static_cast<std::size_t>(count)),
             sys::from_sockaddr(name, length).value()};
      return true;
    }));
    return got;
  }

  host::UdpSocket server_;
  host::UdpSocket client_ = open();
  wire::Endpoint published_;
  flow::UdpId id_;
};

TEST_F(DatagramCallsTest, AServerOfTheGuestIsReachedAndAnswers) {
  write(client_, published_, "one");
  write(client_, published_, "two");
  answer_orders();
  const auto [first, from] = heard(server_);
  EXPECT_EQ(first, "one");
  EXPECT_EQ(heard(server_).first, "two");
  write(server_, from, "three");
  EXPECT_EQ(heard(client_), (std::pair{std::string("three"), published_}));
  write(client_, published_, "four");
  EXPECT_EQ(heard(server_).first, "four");
  EXPECT_TRUE(take_orders<agent::SocketOrder>().empty()) << "one for each client";
}

TEST_F(DatagramCallsTest, WhereNobodyWaitsTheOtherFamilyAndTheLinkFollow) {
  server_.close();
  write(client_, published_, "one");
  answer_orders();
  ASSERT_TRUE(turn_until([&] { return !take_orders<agent::SocketOrder>().empty(); }))
      << "the other family is asked for";
  EXPECT_TRUE(frames.empty());
}

TEST_F(DatagramCallsTest, ARefusalOfTheAgentsLeadsOn) {
  write(client_, published_, "one");
  answer_orders(EMFILE);
  answer_orders(EAFNOSUPPORT);
  ASSERT_EQ(frames.size(), 1U) << "by the link";
}

TEST_F(DatagramCallsTest, AnAgentThatGoesLeavesTheLink) {
  write(client_, published_, "one");
  agent.reset();
  EXPECT_TRUE(turn_until([&] { return !frames.empty(); }));
}

TEST_F(DatagramCallsTest, WithoutAnAgentTheLinkHasAll) {
  agent.reset();
  turn();
  write(client_, published_, "one");
  EXPECT_TRUE(turn_until([&] { return !frames.empty(); }));
}

TEST_F(DatagramCallsTest, AClientThatEndsMeanwhileLeavesItsSocketToOthers) {
  write(client_, published_, "one");
  engine().udp().shut_down({now, sink});
  settle();
  const host::UdpSocket other = open();
  write(other, published_, "two");
  answer_orders();
  EXPECT_EQ(heard(server_).first, "two");
}

TEST_F(DatagramCallsTest, NoMoreWaitThanThereIsRoomFor) {
  for (std::size_t i = 0; i < DatagramCalls::kWaitingMax + 50; ++i) {
    const wire::Endpoint from{wire::IpAddress::loopback(wire::IpFamily::kV4),
                              wire::Port{static_cast<std::uint16_t>(2000 + i)}};
    engine().udp().on_received(id_, from, std::nullopt, ByteView(), 0, {now, sink});
    settle();
  }
  // Those for whom there is no room are led on to the other family.
  EXPECT_EQ(take_orders<agent::SocketOrder>().size(), 2 * DatagramCalls::kOrderedMax);
}

}  // namespace
}  // namespace sluice::driver
