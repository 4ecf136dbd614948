// A guest for tests of the agent: a namespace with a tap whose frames the test reads, an agent,
// and connections whose other end only the test's snapshot knows.
#pragma once

#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <linux/tcp.h>
#include <netinet/in.h>

#include <array>
#include <chrono>
#include <fstream>
#include <initializer_list>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/agent.h"
#include "agent/agent_process.h"
#include "agent/hand_over_socket.h"
#include "netns/guest_namespace.h"
#include "unit/sys/loopback.h"

namespace sluice::agent {

inline constexpr wire::IpFamily kV4 = wire::IpFamily::kV4;
inline constexpr wire::IpFamily kV6 = wire::IpFamily::kV6;

inline Instant in_time(Duration span) {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return Instant(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec)) + span;
}
// Takes the policy rules of the fast path away, as somebody in the guest might.
inline bool delete_mark_rule(wire::IpFamily family) {
  alignas(nlmsghdr) std::array<char, 256> buffer{};
  nlmsghdr* const header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = RTM_DELRULE;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  auto* const rule =
      static_cast<fib_rule_hdr*>(mnl_nlmsg_put_extra_header(header, sizeof(fib_rule_hdr)));
  rule->family = family == kV4 ? AF_INET : AF_INET6;
  mnl_attr_put_u32(header, FRA_PRIORITY, 100);
  const UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (::send(fd.get(), header, header->nlmsg_len, 0) < 0) return false;
  std::array<char, 1024> answer{};
  if (::recv(fd.get(), answer.data(), answer.size(), 0) < 0) return false;
  nlmsgerr error{};
  std::memcpy(&error, answer.data() + sizeof(nlmsghdr), sizeof error);
  return error.error == 0;
}

inline Instant soon() { return in_time(std::chrono::seconds(5)); }

// The remote host's end of connection `number`.
inline wire::TcpSnapshot remote_end(wire::IpFamily family, unsigned number = 0) {
  const bool v4 = family == kV4;
  const auto port = static_cast<std::uint16_t>(10'000 + number % 50'000);
  return {.local = {sys::ip(v4 ? "198.51.100.7" : "2001:db8::7"), wire::Port{443}},
          .peer = {sys::ip(v4 ? "10.0.2.15" : "fd00::15"), wire::Port{port}},
          .send_next = wire::SeqNum{0xffff'ff00U + number},
          .receive_next = wire::SeqNum{77'000U + number},
          .send_window = 65'536,
          .receive_window = 65'536,
          .segment_size = 1400,
          .scaled = true,
          .send_scale = 7,
          .receive_scale = 9,
          .sack = true};
}

// What the guest's kernel has of it.
inline wire::TcpSnapshot guest_end(const wire::TcpSnapshot& remote) {
  wire::TcpSnapshot out = remote;
  std::swap(out.local, out.peer);
  std::swap(out.send_next, out.receive_next);
  std::swap(out.send_window, out.receive_window);
  std::swap(out.send_scale, out.receive_scale);
  return out;
}

// The kernel makes the route to an IPv6 address of its own a moment after it gave it to the
// interface. Until then packets to it go by the tap.
inline bool await_local_address() {
  for (int tries = 0; tries < 1000; ++tries) {
    std::ifstream routes("/proc/net/ipv6_route");
    for (std::string line; std::getline(routes, line);) {
      if (line.starts_with("fd000000000000000000000000000015 80")) return true;
    }
    ::usleep(1000);
  }
  return false;
}

class AgentGuest {
 public:
  static constexpr const char* kTap = "tap0";

  // Nothing when the namespace that we are in has no tap.
  [[nodiscard]] static std::optional<AgentGuest> make() {
    AgentGuest guest;
    guest.tap = sys::bare_tap(kTap);
    if (!guest.tap.valid()) return std::nullopt;
    // No ARP: packets leave at once.
    const UniqueFd control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strcpy(request.ifr_name, kTap);
    request.ifr_flags = IFF_NOARP;
    if (::ioctl(control.get(), SIOCSIFFLAGS, &request) != 0) return std::nullopt;
    const netns::InterfacePlan network{
        .interface = kTap,
        .addresses = {{sys::ip("10.0.2.15"), 24}, {sys::ip("fd00::15"), 64}},
        .gateways = {sys::ip("10.0.2.2"), sys::ip("fd00::2")}};
    if (!netns::configure(network) || !await_local_address()) return std::nullopt;
    ::fcntl(guest.tap.get(), F_SETFL, O_NONBLOCK);
    return guest;
  }

  void start_agent(const char* interface = kTap) { start_agent_of({&agent}, interface); }
  // One that serves so many workers.
  void start_agent_of(std::initializer_list<GuestAgent*> workers, const char* interface = kTap) {
    std::vector<UniqueFd> channels;
    for (GuestAgent* const worker : workers) {
      auto ends = GuestAgent::pair();
      ASSERT_TRUE(ends.has_value());
      *worker = std::move(ends->first);
      channels.push_back(std::move(ends->second));
    }
    agent_pid = ::fork();
    if (agent_pid != 0) return;
    for (GuestAgent* const worker : workers) worker->close();
    run_guest_agent(
        {.channels = std::move(channels), .interface = interface, .hands_over = hands_over});
  }
  void start_ready_agent() {
    start_agent();
    auto ready = next<AgentReady>();
    ASSERT_TRUE(ready.has_value());
    inject_v4 = std::move(ready->inject_v4);
    inject_v6 = std::move(ready->inject_v6);
  }

  // The next message, when it is one of these.
  template <typename T>
  [[nodiscard]] std::optional<T> next() {
    return next<T>(agent);
  }
  template <typename T>
  [[nodiscard]] static std::optional<T> next(GuestAgent& agent) {
    if (!sys::wait_for(agent.fd(), POLLIN, 5000)) return std::nullopt;
    auto message = agent.receive();
    if (!message) return std::nullopt;
    if (const auto* missing = std::get_if<AgentMissing>(&*message); missing != nullptr) {
      ADD_FAILURE() << missing->error.describe();
    }
    if (const auto* refused = std::get_if<AgentRefused>(&*message);
        refused != nullptr && !std::is_same_v<T, AgentRefused>) {
      ADD_FAILURE() << "refused: " << std::strerror(refused->error);
    }
    auto* wanted = std::get_if<T>(&*message);
    if (wanted == nullptr) return std::nullopt;
    return std::move(*wanted);
  }

  struct Made {
    int error = 0;
    UniqueFd socket;
  };
  // A plain one, by the agent.
  [[nodiscard]] Made socket(const GuestSocket& wanted, std::uint64_t tag = 1) {
    EXPECT_TRUE(agent.make_sockets(tag, wanted));
    auto made = next<AgentSockets>();
    if (!made) return {.error = -1, .socket = {}};
    EXPECT_EQ(made->tag, tag);
    return {.error = made->error, .socket = made->take_one()};
  }

  // The guest's socket of a connection that `remote` is the other end of.
  [[nodiscard]] static UniqueFd connect(const wire::TcpSnapshot& remote) {
    auto made = HandOverSocket::make(guest_end(remote));
    if (!made) return {};
    const sys::KernelFd made_fd = made->release();
    UniqueFd fd(::fcntl(made_fd.get(), F_DUPFD_CLOEXEC, 0));
    const int without_probe = TCP_REPAIR_OFF_NO_WP;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_REPAIR, &without_probe, sizeof without_probe);
    return fd;
  }
  [[nodiscard]] UniqueFd hand_over(const wire::TcpSnapshot& remote, std::uint64_t tag = 1) {
    EXPECT_TRUE(agent.hand_over(tag, remote, soon()));
    auto done = next<AgentHandedOver>();
    if (!done) return {};
    EXPECT_EQ(done->tag, tag);
    return std::move(done->socket);
  }
  [[nodiscard]] int refusal(const wire::TcpSnapshot& remote, Instant deadline = soon()) {
    EXPECT_TRUE(agent.hand_over(9, remote, deadline));
    const auto done = next<AgentRefused>();
    if (!done) return 0;
    EXPECT_EQ(done->tag, 9U);
    return done->error;
  }

  // The TCP frames that have left by the tap since the last call.
  [[nodiscard]] std::vector<std::vector<std::uint8_t>> frames() const {
    std::vector<std::vector<std::uint8_t>> out;
    while (true) {
      std::vector<std::uint8_t> frame(70'000);
      const ssize_t got = ::read(tap.get(), frame.data(), frame.size());
      if (got < 0) return out;
      frame.resize(static_cast<std::size_t>(got));
      if (frame.size() < 54) continue;
      const bool v4 = frame[12] == 0x08 && frame[13] == 0x00;
      const bool v6 = frame[12] == 0x86 && frame[13] == 0xdd;
      if ((v4 && frame[23] == IPPROTO_TCP) || (v6 && frame[20] == IPPROTO_TCP)) {
        out.push_back(std::move(frame));
      }
    }
  }

  UniqueFd tap;
  GuestAgent agent;
  UniqueFd inject_v4;
  UniqueFd inject_v6;
  pid_t agent_pid = -1;
  bool hands_over = true;  // What its agent is for, besides sockets.
};

// Runs `body` in a guest of its own, in another process; skips the test where there can be none.
inline void in_guest(const std::function<void(AgentGuest&)>& body) {
  const int status = sys::in_network_namespace([&] {
    auto guest = AgentGuest::make();
    if (!guest) return sys::kNotPermitted;
    body(*guest);
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
  if (WIFEXITED(status) && WEXITSTATUS(status) == sys::kNotPermitted) {
    GTEST_SKIP() << "no network namespace with a tap";
  }
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

inline void with_agent(const std::function<void(AgentGuest&)>& body) {
  in_guest([&](AgentGuest& guest) {
    guest.start_ready_agent();
    if (!::testing::Test::HasFailure()) body(guest);
  });
}

inline bool send_all(int fd, const std::vector<char>& bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t now = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (now > 0) sent += static_cast<std::size_t>(now);
    if (now < 0 && (errno != EAGAIN || !sys::wait_for(fd, POLLOUT, 5000))) return false;
  }
  return true;
}

inline std::vector<char> receive_all(int fd, std::size_t size) {
  std::vector<char> bytes(size);
  std::size_t got = 0;
  while (got < size) {
    const ssize_t now = ::recv(fd, bytes.data() + got, size - got, 0);
    if (now > 0) got += static_cast<std::size_t>(now);
    if (now == 0) break;
    if (now < 0 && (errno != EAGAIN || !sys::wait_for(fd, POLLIN, 5000))) break;
  }
  bytes.resize(got);
  return bytes;
}

inline std::vector<char> pattern(std::size_t size) {
  std::vector<char> out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>(i * 7 + i / 251);
  return out;
}

// `bytes` arrive as they are.
inline void expect_transfer(const UniqueFd& from, const UniqueFd& to,
                            const std::vector<char>& bytes) {
  std::thread sender([&] { EXPECT_TRUE(send_all(from.get(), bytes)); });
  EXPECT_TRUE(receive_all(to.get(), bytes.size()) == bytes);
  sender.join();
}
inline void expect_both_ways(const UniqueFd& ours, const UniqueFd& theirs, std::size_t size) {
  expect_transfer(ours, theirs, pattern(size));
  expect_transfer(theirs, ours, pattern(size));
}

}  // namespace sluice::agent
