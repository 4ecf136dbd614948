// What the tests of the datagram half share: a loop of their own with a clock that can be moved on,
// and sockets of clients and targets on the loopback, all in one thread.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "forward/listen/listener_open.h"
#include "forward/session/event_tag.h"
#include "forward/session/live_rule.h"
#include "forward/session/worker_context.h"
#include "sys/sockaddr.h"
#include "unit/forward/loopback.h"

namespace sluice::forward::testing {

using Bytes = std::vector<std::uint8_t>;
using namespace std::chrono_literals;

inline Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }
inline std::string text_of(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }
inline Bytes pattern(std::size_t size, unsigned seed = 1) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::uint8_t>((i * 31 + seed * 7 + i / 251) & 0xff);
  }
  return bytes;
}

inline wire::Endpoint endpoint(std::string_view address, std::uint16_t port) {
  return {wire::parse_ip(address).value(), wire::Port{port}};
}

inline std::size_t open_descriptors() {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

struct Received {
  Bytes bytes;
  wire::Endpoint from;
};

// A UDP socket of the test, non-blocking.
class Peer {
 public:
  explicit Peer(std::string_view address = "127.0.0.1", std::uint16_t port = 0) {
    const sys::SocketAddress name = sys::to_sockaddr(endpoint(address, port));
    fd_ = UniqueFd(socket(name.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int room = 4 * 1024 * 1024;
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    EXPECT_EQ(bind(fd_.get(), name.get(), name.length), 0) << errno;
  }

  [[nodiscard]] int fd() const { return fd_.get(); }
  void close() { fd_.reset(); }
  [[nodiscard]] wire::Endpoint at() const {
    sys::SocketAddress name;
    EXPECT_EQ(getsockname(fd_.get(), name.get(), &name.length), 0);
    return sys::from_sockaddr(name.storage, name.length).value();
  }
  [[nodiscard]] std::uint16_t port() const { return at().port.value; }

  // Zero or errno.
  int send(const wire::Endpoint& to, const Bytes& bytes) const {
    const sys::SocketAddress name = sys::to_sockaddr(to);
    return sendto(fd_.get(), bytes.data(), bytes.size(), 0, name.get(), name.length) ==
                   static_cast<ssize_t>(bytes.size())
               ? 0
               : errno;
  }
  int send(const wire::Endpoint& to, std::string_view text) const {
    return send(to, bytes_of(text));
  }
  // One send that the kernel cuts (UDP GSO).
  int send_segments(const wire::Endpoint& to, const Bytes& bytes, int size) const {
    setsockopt(fd_.get(), SOL_UDP, UDP_SEGMENT, &size, sizeof size);
    const int result = send(to, bytes);
    const int none = 0;
    setsockopt(fd_.get(), SOL_UDP, UDP_SEGMENT, &none, sizeof none);
    return result;
  }
  void connect_to(const wire::Endpoint& to) const {
    const sys::SocketAddress name = sys::to_sockaddr(to);
    EXPECT_EQ(connect(fd_.get(), name.get(), name.length), 0);
  }

  [[nodiscard]] std::optional<Received> receive() const {
    Received received{Bytes(66'000), {}};
    sys::SocketAddress name;
    const ssize_t got = recvfrom(fd_.get(), received.bytes.data(), received.bytes.size(), 0,
                                 name.get(), &name.length);
    if (got < 0) return std::nullopt;
    received.bytes.resize(static_cast<std::size_t>(got));
    received.from = sys::from_sockaddr(name.storage, name.length).value();
    return received;
  }

 private:
  UniqueFd fd_;
};

// A loop as a worker has it. `Forwarder` is UdpForwarder or TcpToUdp.
template <typename Forwarder>
class LoopFixture : public ::testing::Test {
 protected:
  LoopFixture()
      : loop(sys::EventLoop::create(sys::real_kernel()).value()),
        timers(loop.now()),
        pools(sys::real_kernel(), {}),
        context{sys::real_kernel(), loop, timers, pools, scratch, log, loop.now()},
        log_fd_(memfd_create("log", MFD_CLOEXEC)) {
    log.set_file(std::make_shared<LogFile>(UniqueFd(dup(log_fd_.get())), LogFormat::kJson));
    forwarder = std::make_unique<Forwarder>(context);
  }

  void turn(Duration patience = 2ms) {
    context.now = loop.now() + moved_on_;
    std::array<epoll_event, 64> events;
    Instant until = context.now + patience;
    if (pending_) until = context.now;
    const std::size_t count =
        loop.wait(events, context.now, std::min(until, timers.next_wakeup())).value();
    context.now = loop.now() + moved_on_;
    for (std::size_t i = 0; i < count; ++i) {
      forwarder->on_event(EventTag::unpack(events[i].data.u64), events[i].events);
    }
    events_seen += count;
    while (TimerNode* const node = timers.pop_due(context.now)) {
      forwarder->on_timer(EventTag::unpack(node->owner()));
    }
    pending_ = forwarder->run_pending();
  }
  // Turns until `condition`, for 5 s at most.
  bool until(const std::function<bool()>& condition) {
    const Instant limit = loop.now() + 5s;
    while (!condition()) {
      if (loop.now() > limit) return false;
      turn();
    }
    return true;
  }
  void settle(int turns = 10) {
    for (int i = 0; i < turns; ++i) turn();
  }
  // Time passes without waiting.
  void move_on(Duration by) {
    moved_on_ += by;
    settle(4);
  }

  Received wait_for(const Peer& peer) {
    std::optional<Received> received;
    EXPECT_TRUE(until([&] { return (received = peer.receive()).has_value(); })) << "nothing came";
    return received.value_or(Received{});
  }
  // Nothing comes for a while.
  bool silent(const Peer& peer) {
    settle();
    return !peer.receive().has_value();
  }

  std::string log_text() {
    log.flush();
    std::string text(1 << 20, '\0');
    text.resize(static_cast<std::size_t>(
        std::max<ssize_t>(0, pread(log_fd_.get(), text.data(), text.size(), 0))));
    return text;
  }
  // Lines of the log that contain `what`.
  std::size_t logged(std::string_view what) {
    const std::string text = log_text();
    std::size_t count = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
      ++count;
    }
    return count;
  }

  sys::EventLoop loop;
  TimerWheel timers;
  relay::Pools pools;
  host::DatagramScratch scratch;
  SessionLog log;
  WorkerContext context;
  std::unique_ptr<Forwarder> forwarder;
  std::size_t events_seen = 0;

 private:
  UniqueFd log_fd_;
  Duration moved_on_{};
  bool pending_ = false;
};

inline Rule datagram_rule(policy::Protocol from, policy::Protocol to,
                          std::initializer_list<wire::Endpoint> targets) {
  Rule rule;
  rule.name = "test";
  rule.listen = {.protocol = from, .host = "127.0.0.1", .path = {}, .inherited = {}};
  for (const wire::Endpoint& target : targets) {
    Target added;
    added.place = {.protocol = to,
                   .host = wire::to_string(target.address),
                   .port = target.port.value,
                   .path = {},
                   .inherited = {}};
    rule.targets.push_back(added);
  }
  rule.timeouts.udp_session = 72s;
  return rule;
}

// A bound socket with the options that a listener's has.
inline sys::KernelFd listener_socket(int fd, const Rule& rule) {
  sys::KernelFd socket(sys::real_kernel(), fd);
  set_datagram_options(socket, rule.socket);
  return socket;
}

inline std::shared_ptr<LiveRule> live(Rule rule) {
  return std::make_shared<LiveRule>(std::move(rule), policy::AccessList{},
                                    std::make_shared<RuleCounters>());
}

}  // namespace sluice::forward::testing
