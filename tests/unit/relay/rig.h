// A pair between two real connections whose far ends the test holds, with the epoll loop that an
// owner would run.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "host/tcp_socket.h"
#include "relay/pair.h"
#include "sys/kernel.h"

namespace sluice::relay {

using namespace std::chrono_literals;

inline Instant clock_now() { return Instant{std::chrono::steady_clock::now().time_since_epoch()}; }

// A connection as (ours, the far end); both non-blocking.
struct Connection {
  UniqueFd near;
  UniqueFd far;
};

struct SocketSizes {
  int near_send = 0;  // SO_SNDBUF of ours; 0: the system's.
  int far_receive = 0;
};

inline void set_size(int fd, int name, int bytes) {
  if (bytes > 0) ::setsockopt(fd, SOL_SOCKET, name, &bytes, sizeof bytes);
}

inline Connection tcp_connection(const SocketSizes& sizes = {}) {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  EXPECT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  EXPECT_EQ(::listen(listener.get(), 1), 0);
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length);
  Connection made;
  made.far.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  set_size(made.far.get(), SO_RCVBUF, sizes.far_receive);
  EXPECT_EQ(::connect(made.far.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  made.near.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  EXPECT_TRUE(made.near.valid());
  set_size(made.near.get(), SO_SNDBUF, sizes.near_send);
  ::fcntl(made.far.get(), F_SETFL, O_NONBLOCK);
  const int on = 1;
  for (const int fd : {made.near.get(), made.far.get()}) {
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return made;
}

inline Connection unix_connection() {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

inline Connection connection_of(Transport transport, const SocketSizes& sizes = {}) {
  return transport == Transport::kTcp ? tcp_connection(sizes) : unix_connection();
}

class Rig {
 public:
  explicit Rig(sys::Kernel& kernel, const Options& options = {}, PairOptions pair_options = {},
               const SocketSizes& sizes = {})
      : pools(kernel, options), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    std::signal(SIGPIPE, SIG_IGN);  // As the program does.
    pair_options.mode = options.mode;
    Connection to_client = connection_of(pair_options.client, sizes);
    Connection to_target = connection_of(pair_options.target, sizes);
    watch(to_client.near.get(), Side::kClient);
    watch(to_target.near.get(), Side::kTarget);
    client = std::move(to_client.far);
    target = std::move(to_target.far);
    const host::TcpOptions plain{.nodelay = false, .keepalive = false};
    pair.start(host::TcpSocket::adopt(sys::KernelFd(kernel, to_client.near.release()), plain),
               host::TcpSocket::adopt(sys::KernelFd(kernel, to_target.near.release()), plain),
               pair_options, pools);
  }
  ~Rig() { pair.stop(pools, StopHow::kClose); }

  // One round of an owner's loop: waits for at most `patience`, pumps if there is a reason.
  void turn(Duration patience = 5ms) {
    Instant wake = clock_now() + patience;
    if (status == PairStatus::kLater) wake = std::min(wake, pair.resume_at());
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(wake - clock_now()).count();
    const bool at_once = status == PairStatus::kMore || !started_;
    std::array<epoll_event, 8> events;
    const int ready = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                   at_once ? 0 : static_cast<int>(std::max(left, 0L)));
    for (int i = 0; i < ready; ++i) {
      pair.note(events[static_cast<std::size_t>(i)].data.u32 == 0 ? Side::kClient : Side::kTarget,
                events[static_cast<std::size_t>(i)].events);
    }
    const bool due = status == PairStatus::kLater && clock_now() >= pair.resume_at();
    if (ready <= 0 && !at_once && !due) return;
    started_ = true;
    ++pumps;
    status = pair.pump(pools, clock_now());
  }

  // Turns until the condition holds; false when it does not in time.
  [[nodiscard]] bool turn_until(const std::function<bool()>& condition, Duration limit = 10s) {
    const Instant end = clock_now() + limit;
    while (!condition()) {
      if (clock_now() > end) return false;
      turn();
    }
    return true;
  }
  [[nodiscard]] bool ended(Duration limit = 10s) {
    return turn_until([this] { return status == PairStatus::kEnded; }, limit);
  }
  // Until a while has passed in which nothing was done.
  void settle() {
    for (int quiet = 0; quiet < 3;) {
      const int before = pumps;
      turn(3ms);
      quiet = pumps == before ? quiet + 1 : 0;
    }
  }
  [[nodiscard]] bool nothing_held() {
    return pools.buffers().lent() == 0 && pools.pipes().lent() == 0;
  }

  Pools pools;
  Pair pair;
  UniqueFd client;  // The far ends.
  UniqueFd target;
  PairStatus status = PairStatus::kWaiting;
  int pumps = 0;

 private:
  void watch(int fd, Side side) {
    epoll_event event{};
    event.events = kPairEvents;
    event.data.u32 = side == Side::kClient ? 0 : 1;
    ASSERT_EQ(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event), 0);
  }

  UniqueFd epoll_;
  bool started_ = false;
};

// What a far end has received and how its stream ended.
struct Received {
  std::string bytes;
  std::optional<int> end;  // 0: a FIN; else errno.

  void read_from(int fd, std::size_t limit = SIZE_MAX) {
    std::array<char, 65'536> chunk;
    while (!end && limit > 0) {
      const ssize_t got = ::recv(fd, chunk.data(), std::min(chunk.size(), limit), 0);
      if (got > 0) {
        bytes.append(chunk.data(), static_cast<std::size_t>(got));
        limit -= static_cast<std::size_t>(got);
      } else if (got == 0) {
        end = 0;
      } else if (errno == EAGAIN) {
        return;
      } else {
        end = errno;
      }
    }
  }
};

inline void reset_connection(UniqueFd& fd) {
  const linger abort_on_close{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &abort_on_close, sizeof abort_on_close);
  fd.reset();
}

// Bytes that tell their position.
inline std::string pattern(std::size_t size, std::uint32_t seed = 1) {
  std::string text(size, '\0');
  std::uint32_t state = seed * 2'654'435'761U + 1;
  for (char& byte : text) {
    state = state * 1'664'525U + 1'013'904'223U;
    byte = static_cast<char>(state >> 24);
  }
  return text;
}

inline bool send_all(int fd, const std::string& text) {
  return ::send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

}  // namespace sluice::relay
