// A fast path whose agent is the test. The engine, the host's sockets and those
// that the agent hands over are real; only the guest's frames are made by hand.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/agent_wire.h"
#include "base/overloaded.h"
#include "driver/fast_path/hand_overs.h"
#include "driver/loopback/loopback_path.h"
#include "unit/flow/engine/engine_fixture.h"
#include "unit/relay/rig.h"

namespace sluice::driver {

using namespace std::chrono_literals;
using flow::test::Bytes;

class FastPathFixture : public flow::test::TcpFixture {
 protected:
  // A connection of the guest's that a server on the host has accepted.
  struct Link {
    Connection c;
    UniqueFd host;   // The server's end.
    UniqueFd guest;  // The program's end, once the connection was handed over.
  };

  FastPathFixture() {
    std::signal(SIGPIPE, SIG_IGN);  // As the program does.
    auto loop = sys::EventLoop::create(kernel);
    EXPECT_TRUE(loop.has_value());
    loop_.emplace(std::move(*loop));
    listen();
    start({.when = flow::HandOverWhen::kAlways, .descriptor_limit = 100'000});
  }
  ~FastPathFixture() override {
    loopback.reset();
    path.reset();
    io.reset();
  }

  void start(const FastPathOptions& options) {
    auto [ours, theirs] = agent::GuestAgent::pair().value();
    agent = std::move(theirs);
    start(options, std::move(ours));
  }
  void start(const FastPathOptions& options, agent::GuestAgent ours) {
    loopback.reset();
    path.reset();
    io.reset();
    now = loop_->now();
    restart({});
    io.emplace(IoContext{kernel, *loop_, outbound}, tcp());
    path.emplace(kernel, *loop_, engine(), *io, std::move(ours), options);
    udp.emplace(IoContext{kernel, *loop_, outbound}, engine());
    loopback.emplace(IoContext{kernel, *loop_, outbound}, engine(),
                     LoopbackPath::HostSockets{*io, *udp}, *path);
  }
  [[nodiscard]] Carrier& carrier() { return path->carrier(); }

  // The agent's part.

  void ready() {
    inject_v4 = inject_pair();
    inject_v6 = inject_pair();
    ASSERT_TRUE(agent::send_ready(agent.get(), inject_v4.near.get(), inject_v6.near.get()));
    turn();
  }
  // What it was told of this kind, and has not taken yet.
  template <typename T>
  [[nodiscard]] std::vector<T> take_orders() {
    for (;;) {
      const auto fresh = agent::receive_orders(agent.get(), Duration::zero());
      if (!fresh || fresh->empty()) break;
      orders_.insert(orders_.end(), fresh->begin(), fresh->end());
    }
    std::vector<T> found;
    std::erase_if(orders_, [&](const agent::AgentOrder& order) {
      const T* one = std::get_if<T>(&order);
      if (one != nullptr) found.push_back(*one);
      return one != nullptr;
    });
    return found;
  }
  [[nodiscard]] agent::HandOverOrder take_order() {
    const auto found = take_orders<agent::HandOverOrder>();
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? agent::HandOverOrder{} : found.front();
  }
  [[nodiscard]] std::size_t asked() { return take_orders<agent::HandOverOrder>().size(); }
  [[nodiscard]] bool told_that_we_are_gone() {
    const auto fresh = agent::receive_orders(agent.get(), Duration::zero());
    return !fresh.has_value();
  }
  void hand_over(Link& link, const agent::HandOverOrder& order,
                 const relay::SocketSizes& sizes = {}) {
    relay::Connection made = relay::tcp_connection(sizes);
    link.guest = std::move(made.far);
    ASSERT_TRUE(agent::send_handed_over(agent.get(), order.tag, made.near.get()));
    made.near.reset();
    turn();
  }
  void refuse(const agent::HandOverOrder& order, int error) {
    ASSERT_TRUE(agent::send_refused(agent.get(), order.tag, error));
    turn();
  }

  // What came out of the socket for packets; whole IP packets.
  [[nodiscard]] static std::vector<Bytes> injected(const relay::Connection& socket) {
    std::vector<Bytes> packets;
    Bytes buffer(65'536);
    for (;;) {
      const ssize_t got = ::recv(socket.far.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got < 0) return packets;
      packets.emplace_back(buffer.begin(), buffer.begin() + got);
    }
  }

  // The guest's part.

  void burst(const Bytes& frame, const wire::VirtioNetHeader& offload = {}) {
    engine().on_frame(frame, offload, {now, sink});
    engine().end_burst(flow::BurstEnd::kDrained, {now, sink});
    settle();
  }
  void burst(const flow::test::GuestSegment& segment) {
    burst(flow::test::tcp_frame(network(), segment));
  }
  void send_bytes(Link& link, std::size_t length) {
    const auto segment = data(link.c, link.c.sent, length);
    link.c.next += static_cast<std::uint32_t>(length);
    link.c.sent += length;
    burst(segment);
  }

  // Not asked for yet, unless the agent is ready.
  [[nodiscard]] Link open(wire::IpFamily family = wire::IpFamily::kV4) {
    const bool v4 = family == wire::IpFamily::kV4;
    const flow::test::ConnectionOptions wanted{
        .guest = {v4 ? network().guest_v4 : network().guest_v6, wire::Port{next_port_++}},
        .remote = flow::test::endpoint(v4 ? "198.51.100.7:80" : "[2001:db8::7]:80")};
    frames.clear();
    burst(syn(wanted));
    EXPECT_TRUE(turn_until([this] { return !frames.empty(); }));
    Link link;
    if (frames.empty()) return link;
    link.c.id = connected_;
    link.c.guest = wanted.guest;
    link.c.remote = wanted.remote;
    link.c.next = wanted.guest_isn + 1;
    link.c.host_next = frames.back().tcp().sequence() + 1;
    link.host.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    EXPECT_TRUE(link.host.valid());
    burst(ack(link.c));
    clear();
    return link;
  }
  [[nodiscard]] Link handed_over(const relay::SocketSizes& sizes = {}) {
    Link link = open();
    hand_over(link, take_order(), sizes);
    clear();
    return link;
  }
  [[nodiscard]] flow::HandOverStage stage(const Link& link) {
    const flow::TcpFlow* found = flow(link.c);
    EXPECT_NE(found, nullptr);
    return found == nullptr ? flow::HandOverStage::kNone : found->hand_over;
  }

  // The worker's part.

  // How many sockets have something to say at this moment.
  [[nodiscard]] std::size_t events() {
    std::array<epoll_event, 16> ready{};
    return loop_->wait(ready, now, now).value_or(ready.size());
  }
  void turn(Duration patience = 2ms) {
    std::array<epoll_event, 64> events;
    const bool busy = engine().has_deferred() || carrier().has_ready();
    const std::size_t count =
        loop_->wait(events, now, busy ? now : now + patience).value_or(std::size_t{0});
    now += 1ms;
    if (engine().has_deferred()) engine().run_deferred({now, sink});
    for (std::size_t i = 0; i < count; ++i) dispatch(events[i]);
    if (engine().next_wakeup() <= now) engine().on_timers({now, sink});
    settle();
    path->on_time({now, sink});
    loopback->on_time(now);
    carrier().run_ready({now, sink});
    settle();
  }
  [[nodiscard]] bool turn_until(const std::function<bool()>& condition) {
    const Instant end = relay::clock_now() + 10s;
    while (!condition()) {
      if (relay::clock_now() > end) return false;
      turn();
    }
    return true;
  }
  // Enough for all that is under way on the loopback.
  void settle_down() {
    for (int i = 0; i < 10; ++i) turn();
  }
  void pass_time(Duration time) {
    now += time;
    turn();
  }
  void settle() {
    const Overloaded run{
        [&](const flow::ConnectTcp& action) {
          connected_ = action.flow;
          io->connect({action.flow, server_}, {now, sink});
        },
        [&](const flow::StashTcp& action) { io->stash(action, {now, sink}); },
        [&](const flow::WriteTcp& action) { io->write(action, {now, sink}); },
        [&](const flow::PeekTcp& action) {
          collect_frames();
          io->peek(action, {now, sink});
        },
        [&](const flow::DiscardTcp& action) { io->discard(action, {now, sink}); },
        [&](const flow::ShutdownTcp& action) { io->shutdown(action); },
        [&](const flow::CloseTcp& action) {
          loopback->close(action);
          if (!path->close(action)) io->close(action, now);
        },
        [&](const flow::ProbeTcp& action) { io->probe(action, sink); },
        [&](const flow::HandOverTcp& action) { path->hand_over(action, {now, sink}); },
        [&](const flow::DivertTcp& action) { path->divert(action, now); },
        [&](const flow::ReleaseTcp& action) { path->release(action); },
        [&](const flow::CallGuest& action) { loopback->call(action, {now, sink}); },
        [&](const flow::JoinTcp& action) { loopback->join(action, {now, sink}); },
        [&](const flow::OpenGuestUdp& action) { loopback->call(action, {now, sink}); },
        [&](const flow::OpenUdp& action) { udp->open(action, {now, sink}); },
        [&](const flow::SendUdp& action) { udp->send(action, {now, sink}); },
        [&](const flow::CloseUdp& action) { udp->close(action); },
        [](const auto&) {}};
    for (std::size_t i = 0; i < sink.actions().size(); ++i) {
      const flow::Action action = sink.actions()[i];  // Carrying it out may add more.
      std::visit(run, action);
      if (i + 1 == sink.actions().size()) udp->flush({now, sink});  // Which may add some, too.
    }
    collect();
  }

  // What both ends have and how the flow ended.

  [[nodiscard]] std::string received(int fd, std::size_t length) {
    relay::Received got;
    EXPECT_TRUE(turn_until([&] {
      got.read_from(fd, length - got.bytes.size());
      return got.bytes.size() >= length || got.end;
    }));
    return got.bytes;
  }
  // 0: a FIN; else errno. Reads all before it.
  [[nodiscard]] int end_of(int fd) {
    relay::Received got;
    EXPECT_TRUE(turn_until([&] {
      got.read_from(fd);
      return got.end.has_value();
    }));
    return got.end.value_or(-1);
  }
  [[nodiscard]] UniqueFd accept_at_host() const {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    EXPECT_TRUE(fd.valid());
    return fd;
  }
  [[nodiscard]] std::optional<flow::FlowSummary> report_of(const Link& link) const {
    for (const auto& one : all<flow::ReportFlow>()) {
      if (one.summary.key.guest == link.c.guest) return one.summary;
    }
    return std::nullopt;
  }
  [[nodiscard]] flow::FlowSummary ended(const Link& link) {
    EXPECT_TRUE(turn_until([&] { return report_of(link).has_value(); }));
    return report_of(link).value_or(flow::FlowSummary{});
  }
  // Ends a flow that waits for the agent.
  void lose_socket(const Link& link) {
    tcp().on_socket_lost(link.c.id, {now, sink});
    settle();
  }
  [[nodiscard]] std::uint64_t counter(std::string_view name) const {
    for (const telemetry::Counter& one : path->counters()) {
      if (one.name == name) return one.value;
    }
    ADD_FAILURE() << name;
    return 0;
  }

  sys::Kernel& kernel = sys::real_kernel();
  UniqueFd agent;
  relay::Connection inject_v4;
  relay::Connection inject_v6;
  std::optional<TcpIo> io;
  std::optional<HandOvers> path;
  std::optional<UdpIo> udp;
  std::optional<LoopbackPath> loopback;
  host::Outbound outbound;

 private:
  void listen() {
    listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    ASSERT_EQ(::bind(listener_.get(), plain, length), 0);
    ASSERT_EQ(::listen(listener_.get(), 64), 0);
    ASSERT_EQ(::getsockname(listener_.get(), plain, &length), 0);
    server_ = {flow::test::ip("127.0.0.1"), wire::Port{ntohs(address.sin_port)}};
  }
  static relay::Connection inject_pair() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
  }
  void dispatch(const epoll_event& event) {
    const EventTag tag = EventTag::unpack(event.data.u64);
    if (tag.kind == EventKind::kTcp) {
      io->on_event(tag, event.events, {now, sink});
    } else if (tag.kind == EventKind::kUdp) {
      settle();
      udp->on_event(tag, event.events, Settled{now, sink});
      settle();
    } else if (tag.kind == EventKind::kAgent) {
      settle();
      path->on_agent({now, sink});
      settle();
    } else if (tag.kind == EventKind::kGuestListener || tag.kind == EventKind::kGuestCall) {
      loopback->on_event(tag, {now, sink});
    } else {
      carrier().on_event(tag, event.events);
    }
  }

  std::optional<sys::EventLoop> loop_;
  UniqueFd listener_;
  wire::Endpoint server_;
  flow::TcpId connected_;
  std::uint16_t next_port_ = 40'000;
  std::vector<agent::AgentOrder> orders_;
};

}  // namespace sluice::driver
