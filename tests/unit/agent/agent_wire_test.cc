#include "agent/agent_wire.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <chrono>

#include "unit/sys/loopback.h"

namespace sluice::agent {
namespace {

class AgentWire : public ::testing::Test {
 protected:
  AgentWire() {
    auto [ours, theirs] = GuestAgent::pair().value();
    agent = std::move(ours);
    far = std::move(theirs);
  }
  // The next answer, when it is one of these.
  template <typename T>
  std::optional<T> next() {
    auto message = agent.receive();
    T* const wanted = message ? std::get_if<T>(&*message) : nullptr;
    if (wanted == nullptr) return std::nullopt;
    return std::move(*wanted);
  }
  std::vector<AgentOrder> orders() const {
    return receive_orders(far.get(), std::chrono::seconds(5)).value_or(std::vector<AgentOrder>());
  }
  static UniqueFd datagram_socket() {
    return UniqueFd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  }

  GuestAgent agent;
  UniqueFd far;
};

TEST_F(AgentWire, SocketsThatAreAskedForArriveAsTheyWere) {
  const wire::Endpoint v6{sys::ip("fd00::15"), wire::Port{8080}};
  const wire::Endpoint v4{sys::ip("127.0.0.1"), wire::Port{0}};
  ASSERT_TRUE(agent.make_sockets(7, {.family = wire::IpFamily::kV6, .bound = v6}));
  ASSERT_TRUE(agent.make_sockets(8, {.datagrams = true, .bound = v4}));
  ASSERT_TRUE(agent.make_sockets(9, {}));
  const std::vector<AgentOrder> got = orders();
  ASSERT_EQ(got.size(), 3U);
  const auto& first = std::get<SocketOrder>(got[0]);
  EXPECT_EQ(first.tag, 7U);
  EXPECT_EQ(first.socket.family, wire::IpFamily::kV6);
  EXPECT_FALSE(first.socket.datagrams);
  EXPECT_EQ(first.socket.bound, v6);
  const auto& second = std::get<SocketOrder>(got[1]);
  EXPECT_EQ(second.tag, 8U);
  EXPECT_EQ(second.socket.family, wire::IpFamily::kV4);
  EXPECT_TRUE(second.socket.datagrams);
  EXPECT_EQ(second.socket.bound, v4);
  EXPECT_FALSE(std::get<SocketOrder>(got[2]).socket.bound.has_value());
}

TEST_F(AgentWire, OrdersOfAllKindsKeepTheirOrder) {
  const wire::Endpoint guest{sys::ip("10.0.2.15"), wire::Port{40'000}};
  const wire::Endpoint remote{sys::ip("198.51.100.7"), wire::Port{443}};
  wire::TcpSnapshot snapshot{};
  snapshot.receive_window = 65'536;
  const Instant deadline{std::chrono::seconds(12)};
  ASSERT_TRUE(agent.make_sockets(1, {}));
  ASSERT_TRUE(agent.hand_over(2, snapshot, deadline));
  ASSERT_TRUE(agent.release(guest, remote));
  ASSERT_TRUE(agent.repair());
  ASSERT_TRUE(agent.make_sockets(3, {}));
  ASSERT_TRUE(std::holds_alternative<AgentGone>(agent.await(Duration(0))));  // It hurries them.
  const std::vector<AgentOrder> got = orders();
  ASSERT_EQ(got.size(), 6U);
  EXPECT_EQ(std::get<SocketOrder>(got[0]).tag, 1U);
  EXPECT_EQ(std::get<HandOverOrder>(got[1]).tag, 2U);
  EXPECT_EQ(std::get<HandOverOrder>(got[1]).deadline, deadline);
  EXPECT_EQ(std::get<HandOverOrder>(got[1]).snapshot.receive_window, 65'536U);
  EXPECT_EQ(std::get<ReleaseOrder>(got[2]).guest, guest);
  EXPECT_EQ(std::get<ReleaseOrder>(got[2]).remote, remote);
  EXPECT_TRUE(std::holds_alternative<RepairOrder>(got[3]));
  EXPECT_EQ(std::get<SocketOrder>(got[4]).tag, 3U);
  EXPECT_TRUE(std::holds_alternative<HurryOrder>(got[5]));
}

TEST_F(AgentWire, NobodyThereOrTooBusy) {
  EXPECT_EQ(GuestAgent().make_sockets(1, {}),
            std::unexpected(sys::SysError{sys::SysOp::kSend, ENOTCONN}));
  std::expected<void, sys::SysError> asked{};
  for (std::uint64_t tag = 0; asked && tag < 100'000; ++tag) asked = agent.make_sockets(tag, {});
  EXPECT_EQ(asked, std::unexpected(sys::SysError{sys::SysOp::kSend, EAGAIN}));
}

TEST_F(AgentWire, ASocketIsPassedOnOrWhyThereIsNone) {
  ASSERT_TRUE(send_sockets(far.get(), 5, 0, std::array{datagram_socket().get()}));
  ASSERT_TRUE(send_sockets(far.get(), 6, EADDRINUSE, {}));
  const auto made = next<AgentSockets>();
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(made->tag, 5U);
  EXPECT_EQ(made->error, 0);
  int type = 0;
  socklen_t length = sizeof type;
  ASSERT_EQ(::getsockopt(made->sockets.at(0).get(), SOL_SOCKET, SO_TYPE, &type, &length), 0);
  EXPECT_EQ(type, SOCK_DGRAM);
  EXPECT_NE(::fcntl(made->sockets.at(0).get(), F_GETFD) & FD_CLOEXEC, 0);
  const auto none = next<AgentSockets>();
  ASSERT_TRUE(none.has_value());
  EXPECT_EQ(none->tag, 6U);
  EXPECT_EQ(none->error, EADDRINUSE);
  EXPECT_TRUE(none->sockets.empty());
}

TEST_F(AgentWire, SeveralAreAskedForAndArriveAtOnce) {
  ASSERT_TRUE(agent.make_sockets(7, {}, kMostSockets));
  ASSERT_TRUE(agent.make_sockets(8, {}, kMostSockets + 1));
  const std::vector<AgentOrder> got = orders();
  ASSERT_EQ(got.size(), 2U);
  EXPECT_EQ(std::get<SocketOrder>(got[0]).count, kMostSockets);
  EXPECT_EQ(std::get<SocketOrder>(got[1]).count, kMostSockets) << "of a stranger's order as well";
  std::vector<UniqueFd> made;
  std::vector<int> passed;
  for (std::size_t i = 0; i < kMostSockets; ++i) {
    passed.push_back(made.emplace_back(datagram_socket()).get());
  }
  ASSERT_TRUE(send_sockets(far.get(), 7, ENOBUFS, passed));
  const auto answer = next<AgentSockets>();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->error, ENOBUFS);
  ASSERT_EQ(answer->sockets.size(), kMostSockets);
  for (const UniqueFd& one : answer->sockets) {
    EXPECT_NE(::fcntl(one.get(), F_GETFL) & O_NONBLOCK, 0);
  }
}

TEST_F(AgentWire, WhoeverHasNoDescriptorLeftIsTold) {
  ASSERT_TRUE(send_sockets(far.get(), 5, 0, std::array{datagram_socket().get()}));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto lost = next<AgentSockets>();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_TRUE(lost.has_value());
  EXPECT_EQ(lost->tag, 5U);
  EXPECT_EQ(lost->error, EMFILE);
  EXPECT_TRUE(lost->sockets.empty());
}

TEST_F(AgentWire, WhatIsMissingIsToldInWords) {
  ASSERT_TRUE(send_missing(far.get(), {"a step", EPERM, "a hint"}));
  const auto missing = next<AgentMissing>();
  ASSERT_TRUE(missing.has_value());
  EXPECT_EQ(missing->error.describe(), "a step: Operation not permitted; a hint");
}

TEST_F(AgentWire, RawSocketsAreToldApart) {
  const UniqueFd one = datagram_socket();
  ASSERT_TRUE(send_ready(far.get(), -1, one.get()));
  ASSERT_TRUE(send_ready(far.get(), one.get(), one.get()));
  const auto v6_only = next<AgentReady>();
  ASSERT_TRUE(v6_only.has_value());
  EXPECT_FALSE(v6_only->inject_v4.valid());
  EXPECT_TRUE(v6_only->inject_v6.valid());
  const auto both = next<AgentReady>();
  ASSERT_TRUE(both.has_value());
  EXPECT_TRUE(both->inject_v4.valid() && both->inject_v6.valid());
}

}  // namespace
}  // namespace sluice::agent
