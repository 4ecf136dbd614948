#include "sockets/socket_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

namespace sluice::bench {
namespace {

constexpr std::size_t kRequest = 64;

// Answers a request, and closes.
[[noreturn]] void serve_cycles(int listener, std::size_t size) {
  std::vector<std::uint8_t> bytes(std::max(size, kRequest));
  while (true) {
    const UniqueFd client(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!client.valid() || ::recv(client.get(), bytes.data(), kRequest, 0) <= 0) continue;
    (void)::send(client.get(), bytes.data(), size, MSG_NOSIGNAL);
  }
}

// All that a socket has, or has room for.
void move_bytes(int fd, bool sends, std::vector<std::uint8_t>& bytes) {
  while (true) {
    const ssize_t moved = sends
                              ? ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                              : ::recv(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (moved == 0 || (moved < 0 && errno != EAGAIN && errno != EINTR)) ::_exit(0);
    if (moved < 0) return;
  }
}

[[noreturn]] void serve_streams(const SocketCase& wanted, int listener) {
  std::vector<UniqueFd> sockets;
  std::vector<pollfd> polls;
  const bool sends = wanted.what == What::kTcpIn;
  for (std::uint64_t i = 0; i < wanted.peers; ++i) {
    sockets.emplace_back(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    polls.push_back({.fd = sockets.back().get(),
                     .events = static_cast<short>(sends ? POLLOUT : POLLIN),
                     .revents = 0});
  }
  std::vector<std::uint8_t> bytes(std::size_t{256} * 1024);
  if (sends) bytes.resize(wanted.size);
  while (::poll(polls.data(), polls.size(), -1) > 0) {
    for (const pollfd& poll : polls) {
      if (poll.revents != 0) move_bytes(poll.fd, sends, bytes);
    }
  }
  ::_exit(0);
}

// To those who said something, without end; the kernel drops what they do not take.
[[noreturn]] void serve_datagrams(const SocketCase& wanted, int socket) {
  std::vector<std::uint8_t> bytes(wanted.size);
  std::vector<sockaddr_in> peers;
  while (peers.size() < wanted.peers) {
    sockaddr_in from{};
    socklen_t length = sizeof from;
    if (::recvfrom(socket, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&from),
                   &length) > 0) {
      peers.push_back(from);
    }
  }
  while (wanted.what == What::kUdpOut) {
    (void)::recv(socket, bytes.data(), bytes.size(), MSG_TRUNC);
  }
  while (true) {
    for (const sockaddr_in& to : peers) {
      (void)::sendto(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL,
                     reinterpret_cast<const sockaddr*>(&to), sizeof to);
    }
  }
}

[[nodiscard]] bool is_datagrams(What what) { return what == What::kUdpOut || what == What::kUdpIn; }

}  // namespace

void keep_to_processor(unsigned which) {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || which-- != 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    (void)::sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

UniqueFd open_socket(int type) {
  UniqueFd fd(::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  if (type == SOCK_STREAM) {
    (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return fd;
}

sockaddr_in loopback(std::uint16_t port, std::uint64_t number) {
  constexpr std::uint64_t kAddresses = 200;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr =
      htonl(INADDR_LOOPBACK + static_cast<std::uint32_t>(number % kAddresses));
  return address;
}

bool connect_socket(int fd, const sockaddr_in& to) {
  return ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 ||
         errno == EINPROGRESS;
}

std::unique_ptr<SocketPeer> SocketPeer::start(const SocketCase& wanted) {
  const bool datagrams = is_datagrams(wanted.what);
  const UniqueFd socket(
      ::socket(AF_INET, (datagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0));
  sockaddr_in at = loopback(0);
  at.sin_addr.s_addr = htonl(INADDR_ANY);
  socklen_t length = sizeof at;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 ||
      (!datagrams && ::listen(socket.get(), 1024) != 0) ||
      ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&at), &length) != 0) {
    return nullptr;
  }
  const pid_t pid = ::fork();
  if (pid < 0) return nullptr;
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    keep_to_processor(1);
    if (datagrams) serve_datagrams(wanted, socket.get());
    if (wanted.what == What::kCycle) serve_cycles(socket.get(), wanted.size);
    serve_streams(wanted, socket.get());
  }
  return std::unique_ptr<SocketPeer>(new SocketPeer(wanted, pid, ntohs(at.sin_port)));
}

SocketPeer::~SocketPeer() {
  ::kill(pid_, SIGKILL);
  (void)::waitpid(pid_, nullptr, 0);
}

Sockets SocketPeer::connect() const {
  Sockets sockets;
  const int type = is_datagrams(wanted_.what) ? SOCK_DGRAM : SOCK_STREAM;
  for (std::uint64_t i = 0; i < wanted_.peers; ++i) {
    sockets.push_back(open_socket(type));
    if (!connect_socket(sockets.back().get(), loopback(port_))) return {};
    if (type == SOCK_DGRAM && ::send(sockets.back().get(), "hello", 5, 0) != 5) return {};
  }
  return sockets;
}

}  // namespace sluice::bench
