// The test is the agent: it makes the guest's sockets, which are this machine's here.
#include "driver/loopback/loopback_path.h"

#include <gtest/gtest.h>

#include <array>

#include "unit/driver/fast_path/hand_overs_fixture.h"

namespace sluice::driver {
namespace {

using relay::pattern;

class LoopbackPathTest : public FastPathFixture {
 protected:
  LoopbackPathTest() { tcp().set_call_guest(policy::LoopbackUse::kFirst); }

  // A listener as the agent makes it, and where it waits.
  struct Listener {
    UniqueFd fd;
    wire::Endpoint at;
  };
  static Listener listener() {
    auto made = host::TcpListener::open(sys::real_kernel(), flow::test::endpoint("127.0.0.1:0"));
    EXPECT_TRUE(made.has_value());
    Listener one{.fd = UniqueFd(::dup(made->fd())), .at = made->local_endpoint().value()};
    return one;
  }
  static UniqueFd plain_socket() {
    return UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  }
  // Answers all orders for sockets: those that are bound by `bound`, in turn.
  void answer_orders(std::vector<UniqueFd> bound = {}) {
    auto next = bound.begin();
    for (const agent::SocketOrder& order : take_orders<agent::SocketOrder>()) {
      std::vector<UniqueFd> made;
      int error = 0;
      if (!order.socket.bound) {
        for (std::size_t i = 0; i < order.count; ++i) made.push_back(plain_socket());
      } else if (next == bound.end()) {
        error = EADDRINUSE;
      } else {
        made.push_back(std::move(*next++));
      }
      answer(order, error, made);
    }
    turn();
  }
  void answer(const agent::SocketOrder& order, int error, const std::vector<UniqueFd>& made) {
    std::vector<int> fds;
    for (const UniqueFd& one : made) fds.push_back(one.get());
    EXPECT_TRUE(agent::send_sockets(agent.get(), order.tag, error, fds));
  }
  // A client of a published port, and our end of its connection.
  struct Client {
    flow::TcpId id;
    UniqueFd fd;
  };
  Client client(std::uint16_t port, std::uint16_t from = 6000) {
    relay::Connection made = relay::tcp_connection({});
    const auto id =
        tcp().on_inbound({flow::test::ip("127.0.0.1"), wire::Port{from}},
                         {network().guest_v4, wire::Port{port}}, TcpIo::kRoomAtFirst, {now, sink});
    EXPECT_TRUE(id.has_value());
    sys::KernelFd ours(kernel, made.near.release());
    EXPECT_TRUE(io->adopt(*id, host::TcpSocket::adopt(std::move(ours), {.urgent_inline = true})));
    settle();
    return {*id, std::move(made.far)};
  }
  static UniqueFd accepted(const Listener& from) {
    UniqueFd fd;
    EXPECT_TRUE([&] {
      for (int i = 0; i < 1000 && !fd.valid(); ++i) {
        fd.reset(::accept4(from.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!fd.valid()) ::usleep(1000);
      }
      return fd.valid();
    }());
    return fd;
  }
  static void send_all(int fd, const std::string& bytes) {
    ASSERT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  [[nodiscard]] std::vector<flow::FlowSummary> reports() const {
    std::vector<flow::FlowSummary> found;
    for (const auto& one : all<flow::ReportFlow>()) found.push_back(one.summary);
    return found;
  }
};

TEST_F(LoopbackPathTest, AClientAndAServerOfTheGuestAreJoined) {
  const Listener server = listener();
  Client caller = client(server.at.port.value);
  answer_orders();
  const UniqueFd served = accepted(server);
  send_all(caller.fd.get(), "question");
  EXPECT_EQ(received(served.get(), 8), "question");
  const std::string answer = pattern(100'000);
  send_all(served.get(), answer);
  EXPECT_TRUE(received(caller.fd.get(), answer.size()) == answer);
  ASSERT_EQ(::shutdown(caller.fd.get(), SHUT_WR), 0);
  EXPECT_EQ(end_of(served.get()), 0);
  ASSERT_EQ(::shutdown(served.get(), SHUT_WR), 0);
  EXPECT_EQ(end_of(caller.fd.get()), 0);
  EXPECT_TRUE(turn_until([&] { return !reports().empty(); }));
  const flow::FlowSummary summary = reports().at(0);
  EXPECT_TRUE(summary.by_loopback);
  EXPECT_EQ(summary.outcome, policy::Outcome::kClosed);
  EXPECT_EQ(summary.bytes_to_guest, 8U);
  EXPECT_EQ(summary.bytes_to_host, answer.size());
  EXPECT_EQ(carrier().relayed().to_host, answer.size());
  EXPECT_EQ(carrier().moved().to_host, 0U);
}

TEST_F(LoopbackPathTest, SocketsAreAskedForAheadAndNotForEachClient) {
  const Listener server = listener();
  (void)client(server.at.port.value);
  const auto orders = take_orders<agent::SocketOrder>();
  ASSERT_EQ(orders.size(), 1U);
  EXPECT_EQ(orders[0].count, GuestSockets::kBatch);
}

TEST_F(LoopbackPathTest, MoreWaitThanCanBeAskedForAtOnce) {
  const Listener server = listener();
  constexpr std::size_t kClients = 3 * GuestSockets::kOrdersMax * GuestSockets::kBatch;
  std::vector<Client> clients;
  for (std::uint16_t i = 0; i < kClients; ++i) {
    clients.push_back(client(server.at.port.value, static_cast<std::uint16_t>(6000 + i)));
  }
  EXPECT_TRUE(turn_until([&] {
    answer_orders();
    return carrier().size() == kClients;
  }));
}

TEST_F(LoopbackPathTest, OfAnOrderThatIsAnsweredInPartThoseThatCameAreUsed) {
  const Listener server = listener();
  std::vector<Client> clients;
  for (std::uint16_t i = 0; i < 3; ++i) {
    clients.push_back(client(server.at.port.value, static_cast<std::uint16_t>(6000 + i)));
  }
  const auto orders = take_orders<agent::SocketOrder>();
  ASSERT_EQ(orders.size(), 1U);
  std::vector<UniqueFd> made;
  made.push_back(plain_socket());
  made.push_back(plain_socket());
  answer(orders[0], EMFILE, made);
  EXPECT_TRUE(turn_until([&] { return carrier().size() == 2; }));
  // The third goes on to the other family.
  EXPECT_TRUE(turn_until([&] { return !take_orders<agent::SocketOrder>().empty(); }));
}

TEST_F(LoopbackPathTest, WhereNobodyWaitsTheLinkFollows) {
  wire::Port nobody{};
  {
    const Listener gone = listener();
    nobody = gone.at.port;
  }
  (void)client(nobody.value);
  // Of IPv4, and then those of IPv6, which are IPv4's here and fail to connect.
  ASSERT_TRUE(turn_until([&] {
    answer_orders();
    return !frames.empty();
  }));
  EXPECT_EQ(frames.back().tcp().flags(), wire::kSyn);
}

TEST_F(LoopbackPathTest, AnAgentWithoutRoomIsARefusal) {
  (void)client(80);
  for (const agent::SocketOrder& order : take_orders<agent::SocketOrder>()) {
    ASSERT_TRUE(agent::send_sockets(agent.get(), order.tag, EMFILE, {}));
  }
  turn();
  for (const agent::SocketOrder& order : take_orders<agent::SocketOrder>()) {
    ASSERT_TRUE(agent::send_sockets(agent.get(), order.tag, EMFILE, {}));
  }
  EXPECT_TRUE(turn_until([&] { return !frames.empty(); }));  // By the link.
}

TEST_F(LoopbackPathTest, WithoutAnAgentTheLinkHasAll) {
  agent.reset();
  turn();
  clear();
  (void)client(80);
  EXPECT_TRUE(all<flow::CallGuest>().size() == 2);
  EXPECT_EQ(frames.size(), 1U);
}

TEST_F(LoopbackPathTest, AnAgentThatGoesRefusesThoseThatWait) {
  (void)client(80);
  EXPECT_TRUE(frames.empty());
  agent.reset();
  EXPECT_TRUE(turn_until([&] { return !frames.empty(); }));
}

TEST_F(LoopbackPathTest, AClientThatEndsMeanwhileLeavesItsSocketToOthers) {
  const Listener server = listener();
  const Client first = client(server.at.port.value);
  tcp().on_host_error(first.id, flow::HostError::kReset, {now, sink});
  settle();
  Client second = client(server.at.port.value, 6001);
  answer_orders();
  const UniqueFd served = accepted(server);
  send_all(second.fd.get(), "second");
  EXPECT_EQ(received(served.get(), 6), "second");
  EXPECT_EQ(carrier().size(), 1U);
}

TEST_F(LoopbackPathTest, AResetOfEitherSideReachesTheOther) {
  const Listener server = listener();
  for (const bool by_client : {true, false}) {
    Client caller = client(server.at.port.value, by_client ? 6000 : 6001);
    if (by_client) answer_orders();
    UniqueFd served = accepted(server);
    turn();
    UniqueFd& from = by_client ? caller.fd : served;
    const UniqueFd& to = by_client ? served : caller.fd;
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ASSERT_EQ(::setsockopt(from.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    from.reset();
    EXPECT_EQ(end_of(to.get()), ECONNRESET);
  }
}

class LoopbackPortTest : public LoopbackPathTest {
 protected:
  static policy::PortMap map(std::uint16_t guest, std::uint16_t host, std::uint16_t count = 1) {
    policy::PortMap map;
    map.host_first = wire::Port{host};
    map.guest_first = wire::Port{guest};
    map.count = count;
    return map;
  }
  UniqueFd program(const Listener& at) {
    UniqueFd fd = plain_socket();
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(at.at.port.value);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
    return fd;
  }
};

TEST_F(LoopbackPortTest, EachPortIsListenedAtInBothFamilies) {
  loopback->open(std::vector{map(5000, 6000, 2)}, now);
  const auto orders = take_orders<agent::SocketOrder>();
  std::vector<std::string> asked;
  for (const auto& order : orders) asked.push_back(wire::to_string(*order.socket.bound));
  EXPECT_EQ(asked, (std::vector<std::string>{"127.0.0.1:5000", "[::1]:5000", "127.0.0.1:5001",
                                             "[::1]:5001"}));
}

TEST_F(LoopbackPortTest, AProgramOfTheGuestsReachesTheHost) {
  loopback->open(std::vector{map(5000, 6000)}, now);
  Listener inside = listener();
  std::vector<UniqueFd> bound;
  bound.emplace_back(::dup(inside.fd.get()));
  answer_orders(std::move(bound));  // The one of IPv6 is in use.
  const UniqueFd caller = program(inside);
  // The fixture leads each flow to the server of the host.
  EXPECT_TRUE(turn_until([&] { return carrier().size() == 1; }));
  const UniqueFd served = accept_at_host();
  send_all(caller.get(), "from the guest");
  EXPECT_EQ(received(served.get(), 14), "from the guest");
  send_all(served.get(), "from the host");
  EXPECT_EQ(received(caller.get(), 13), "from the host");
}

TEST_F(LoopbackPortTest, OrdersAreTakenUpAgainWhenTheAgentHasRoom) {
  loopback->open(std::vector{map(5000, 6000, 100)}, now);
  std::size_t asked = 0;
  EXPECT_TRUE(turn_until([&] {
    const auto orders = take_orders<agent::SocketOrder>();
    asked += orders.size();
    EXPECT_LE(orders.size(), LoopbackPorts::kOrderedMax);
    for (const auto& order : orders) {
      EXPECT_TRUE(agent::send_sockets(agent.get(), order.tag, EADDRINUSE, {}));
    }
    return asked == 200;
  }));
}

TEST_F(LoopbackPortTest, OneThatFollowsGoesAndItsConnectionsStay) {
  policy::PortMap one = map(5000, 5000);
  one.address = wire::IpAddress::loopback(wire::IpFamily::kV4);
  loopback->follow(std::vector{one}, now);
  EXPECT_TRUE(loopback->leads_out(policy::Protocol::kTcp, wire::Port{5000}));
  Listener inside = listener();
  std::vector<UniqueFd> bound;
  bound.push_back(std::move(inside.fd));
  answer_orders(std::move(bound));
  const UniqueFd caller = program(inside);
  EXPECT_TRUE(turn_until([&] { return carrier().size() == 1; }));
  const UniqueFd served = accept_at_host();
  loopback->follow({}, now);
  EXPECT_FALSE(loopback->leads_out(policy::Protocol::kTcp, wire::Port{5000}));
  send_all(caller.get(), "from the guest");
  EXPECT_EQ(received(served.get(), 14), "from the guest");
}

TEST_F(LoopbackPortTest, DatagramsGoToTheLoopbackWhateverWayOthersGo) {
  outbound.v4.address = flow::test::ip("127.0.0.2");
  const auto server = host::UdpSocket::open(kernel, wire::IpFamily::kV4,
                                            {.bind = flow::test::endpoint("127.0.0.1:0")});
  ASSERT_TRUE(server.has_value());
  const flow::test::Bytes datagram(3, 7);  // Until it was sent.
  engine().udp().on_loopback_datagrams({.guest = flow::test::endpoint("127.0.0.1:41000"),
                                        .target = server->local_endpoint().value()},
                                       datagram, 0, {now, sink});
  settle();
  sockaddr_in from{};
  socklen_t length = sizeof from;
  std::array<char, 10> bytes{};
  ASSERT_EQ(::recvfrom(server->fd(), bytes.data(), bytes.size(), 0,
                       reinterpret_cast<sockaddr*>(&from), &length),
            3);
  EXPECT_EQ(ntohl(from.sin_addr.s_addr), INADDR_LOOPBACK);
}

// The guest's root may do that (SOCK_DESTROY), and an agent that it took over hand us anything.
TEST_F(LoopbackPortTest, AListenerThatIsNoneAnyMoreIsLetGo) {
  loopback->follow(std::vector{map(5000, 5000)}, now);
  Listener inside = listener();
  std::vector<UniqueFd> bound;
  bound.emplace_back(::dup(inside.fd.get()));
  answer_orders(std::move(bound));
  pass_time(LoopbackPorts::kAskAgain);  // The other family was in use.
  turn();
  answer_orders();
  ASSERT_EQ(::shutdown(inside.fd.get(), SHUT_RD), 0);
  turn();
  EXPECT_EQ(events(), 0U) << "nobody is woken by it";
  pass_time(LoopbackPorts::kAskAgain);
  turn();
  EXPECT_EQ(take_orders<agent::SocketOrder>().size(), 2U) << "it is asked for again";
}

TEST_F(LoopbackPortTest, OneThatTheGuestHasIsAskedForAgainWithTime) {
  loopback->follow(std::vector{map(5000, 5000)}, now);
  answer_orders();
  EXPECT_TRUE(loopback->leads_out(policy::Protocol::kTcp, wire::Port{5000}))
      << "clients of the host are not led there, as the engine sees it";
  EXPECT_LE(loopback->next_wakeup(), now + LoopbackPorts::kAskAgain);
  EXPECT_TRUE(take_orders<agent::SocketOrder>().empty());
  pass_time(LoopbackPorts::kAskAgain);
  turn();
  EXPECT_EQ(take_orders<agent::SocketOrder>().size(), 2U) << "each family";
  EXPECT_EQ(loopback->next_wakeup(), kNever);
}

}  // namespace
}  // namespace sluice::driver
