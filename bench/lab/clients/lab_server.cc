// The other end of the lab's clients and of the namespace tests: one process, one epoll loop, both
// families on every port, tens of thousands of connections.
#include <fmt/core.h>

#include <array>
#include <memory>
#include <unordered_map>

#include "clients/arguments.h"
#include "clients/blocking_echo.h"
#include "clients/sockets.h"
#include "clients/transfer_session.h"
#include "clients/udp_service.h"

namespace sluice::bench {
namespace {

const char* const kHelp = R"(
The other end of the lab's clients: every port serves IPv4 and IPv6, options may be repeated, and
one event loop serves all of them.

Options:
  --echo PORT               TCP: sends back what it reads
  --discard PORT            TCP: reads and forgets
  --chargen PORT            TCP: sends byte n % 251 at offset n, for ever
  --slow PORT:RATE          TCP: reads RATE bytes a second from each connection
  --transfer PORT           TCP: the other end of transfer-client (transfer.h)
  --udp-echo PORT           UDP: sends each datagram back
  --udp-sink PORT           UDP: counts the datagrams of udp-rate-client (udp_sink.h)
  --control PORT            TCP: answers `run NUMBER` with the sink's counters as JSON
  --blocking-echo PORT      TCP: as --echo, one connection at a time, in a thread without a loop
  --blocking-udp-echo PORT  UDP: as --udp-echo, in a thread without a loop

Prints `ready` when all ports listen. Ends with its standard input or by a signal.

Example:
  lab-server --echo 7007 --udp-echo 7007 --transfer 7020
)";

constexpr int kTickMs = 20;

Address any_address(std::uint64_t port) {
  Address address;
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(static_cast<std::uint16_t>(port));
  std::memcpy(&address.storage, &any, sizeof any);
  address.length = sizeof any;
  return address;
}

UniqueFd open_bound(std::uint64_t port, int type) {
  UniqueFd fd = open_socket(AF_INET6, type);
  set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  const Address address = any_address(port);
  if (::bind(fd.get(), address.get(), address.length) != 0) die("bind");
  return fd;
}

UniqueFd open_listener(std::uint64_t port, int flags) {
  UniqueFd fd = open_bound(port, SOCK_STREAM | flags);
  if (::listen(fd.get(), 65535) != 0) die("listen");
  return fd;
}

enum class Role : std::uint8_t { kEcho, kDiscard, kChargen, kSlow, kControl, kTransfer };

struct Listener {
  UniqueFd fd;
  Role role = Role::kEcho;
  std::uint64_t rate = 0;
};

struct Connection {
  UniqueFd fd;
  Role role = Role::kEcho;
  std::uint64_t rate = 0;
  std::uint64_t offset = 0;  // Chargen: of the next byte. Slow: bytes read.
  std::uint64_t since = 0;
  std::string pending;  // Echo, control: what the socket did not take yet.
  std::unique_ptr<TransferSession> transfer;
  std::uint32_t watched = 0;  // The events asked for.
};

// A tag in epoll says what became ready: its kind above, its index or descriptor below.
enum class Kind : std::uint64_t { kListener, kConnection, kUdpEcho, kUdpSink, kInput };

constexpr std::uint64_t tag(Kind kind, std::size_t index) {
  return (static_cast<std::uint64_t>(kind) << 32) | index;
}

class Server {
 public:
  void listen(std::uint64_t port, Role role, std::uint64_t rate = 0) {
    UniqueFd fd = open_listener(port, SOCK_NONBLOCK);
    epoll_.add(fd.get(), EPOLLIN, tag(Kind::kListener, listeners_.size()));
    listeners_.push_back({std::move(fd), role, rate});
  }

  void open_udp(std::uint64_t port, Kind kind) {
    UniqueFd fd = open_bound(port, SOCK_DGRAM | SOCK_NONBLOCK);
    constexpr int kBuffer = 8 << 20;
    // Without the privilege the ordinary limit applies, which is no error.
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kBuffer, sizeof kBuffer) != 0) {
      set_option(fd.get(), SOL_SOCKET, SO_RCVBUF, kBuffer);
    }
    epoll_.add(fd.get(), EPOLLIN, tag(kind, udp_.size()));
    udp_.push_back(std::move(fd));
  }

  [[noreturn]] void run() {
    epoll_.add(STDIN_FILENO, EPOLLIN, tag(Kind::kInput, 0));
    fmt::print("ready\n");
    std::fflush(stdout);
    while (true) {
      for (const epoll_event& event : epoll_.wait(slow_.empty() ? -1 : kTickMs)) {
        dispatch(event);
      }
      for (std::size_t i = slow_.size(); i-- > 0;) read_slowly(slow_[i]);
    }
  }

 private:
  void dispatch(const epoll_event& event) {
    const auto kind = static_cast<Kind>(event.data.u64 >> 32);
    const auto index = static_cast<std::size_t>(event.data.u64 & 0xffff'ffffU);
    switch (kind) {
      case Kind::kListener: accept_all(listeners_[index]); break;
      case Kind::kConnection: serve(static_cast<int>(index), event.events); break;
      case Kind::kUdpEcho: echo_datagrams(udp_[index].get(), buffer_); break;
      case Kind::kUdpSink: sink_datagrams(udp_[index].get(), sink_); break;
      case Kind::kInput: read_input(); break;
    }
  }

  static void read_input() {
    char buffer[256];
    if (::read(STDIN_FILENO, buffer, sizeof buffer) <= 0) std::exit(0);
  }

  void accept_all(const Listener& listener) {
    while (true) {
      UniqueFd fd(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd.valid()) {
        if (errno == EAGAIN || errno == ECONNABORTED) return;
        die("accept4");
      }
      set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
      const int number = fd.get();
      auto connection = std::make_unique<Connection>();
      connection->role = listener.role;
      connection->rate = listener.rate;
      connection->since = now_ns();
      connection->fd = std::move(fd);
      if (listener.role == Role::kTransfer) {
        connection->transfer = std::make_unique<TransferSession>(number);
      }
      if (listener.role == Role::kSlow) {
        slow_.push_back(number);
      } else {
        const std::uint32_t events = listener.role == Role::kChargen ? EPOLLOUT : EPOLLIN;
        connection->watched = events;
        epoll_.add(number, events, tag(Kind::kConnection, static_cast<std::size_t>(number)));
      }
      connections_[number] = std::move(connection);
    }
  }

  void serve(int number, std::uint32_t events) {
    const auto found = connections_.find(number);
    if (found == connections_.end()) return;
    if (!serve(*found->second, events)) connections_.erase(found);
  }

  // False when the connection is over.
  bool serve(Connection& connection, std::uint32_t events) {
    switch (connection.role) {
      case Role::kEcho: return echo(connection);
      case Role::kDiscard: return discard(connection);
      case Role::kChargen: return generate(connection);
      case Role::kControl: return answer(connection);
      case Role::kTransfer: return transfer(connection, events);
      case Role::kSlow: break;
    }
    return true;
  }

  bool echo(Connection& connection) {
    if (!connection.pending.empty()) return flush(connection);
    while (true) {
      const ssize_t got = ::recv(connection.fd.get(), buffer_.data(), buffer_.size(), 0);
      if (got < 0) return errno == EAGAIN;
      if (got == 0) return false;
      const auto size = static_cast<std::size_t>(got);
      const ssize_t sent = ::send(connection.fd.get(), buffer_.data(), size, MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN) return false;
      const std::size_t taken = sent > 0 ? static_cast<std::size_t>(sent) : 0;
      if (taken < size) {
        connection.pending.assign(buffer_.data() + taken, size - taken);
        watch(connection, EPOLLOUT);
        return true;
      }
      if (size < buffer_.size()) return true;
    }
  }

  bool flush(Connection& connection) {
    std::string& pending = connection.pending;
    const ssize_t sent = ::send(connection.fd.get(), pending.data(), pending.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    pending.erase(0, static_cast<std::size_t>(sent));
    if (pending.empty()) {
      pending.shrink_to_fit();
      watch(connection, EPOLLIN);
    }
    return true;
  }

  bool transfer(Connection& connection, std::uint32_t events) {
    if (!connection.transfer->step(events, buffer_)) return false;
    watch(connection, connection.transfer->wanted());
    return true;
  }

  void watch(Connection& connection, std::uint32_t events) {
    if (connection.watched == events) return;
    connection.watched = events;
    const int number = connection.fd.get();
    epoll_.modify(number, events, tag(Kind::kConnection, static_cast<std::size_t>(number)));
  }

  bool discard(const Connection& connection) {
    const ssize_t got = ::recv(connection.fd.get(), buffer_.data(), buffer_.size(), 0);
    return got > 0 || (got < 0 && errno == EAGAIN);
  }

  bool generate(Connection& connection) {
    const char* pattern = pattern_.data() + connection.offset % 251;
    const ssize_t sent = ::send(connection.fd.get(), pattern, pattern_.size() - 251, MSG_NOSIGNAL);
    if (sent > 0) connection.offset += static_cast<std::uint64_t>(sent);
    return sent > 0 || errno == EAGAIN;
  }

  void read_slowly(int number) {
    Connection& connection = *connections_.at(number);
    const std::uint64_t due = (now_ns() - connection.since) * connection.rate / 1'000'000'000U;
    bool open = true;
    while (open && connection.offset < due) {
      const std::size_t most = std::min<std::size_t>(due - connection.offset, buffer_.size());
      const ssize_t got = ::recv(connection.fd.get(), buffer_.data(), most, 0);
      if (got < 0 && errno == EAGAIN) return;
      open = got > 0;
      if (open) connection.offset += static_cast<std::uint64_t>(got);
    }
    if (open) return;
    connections_.erase(number);
    std::erase(slow_, number);
  }

  bool answer(Connection& connection) {
    const ssize_t got = ::recv(connection.fd.get(), buffer_.data(), buffer_.size(), 0);
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    connection.pending.append(buffer_.data(), static_cast<std::size_t>(got));
    std::size_t end = 0;
    while ((end = connection.pending.find('\n')) != std::string::npos) {
      const std::string line = connection.pending.substr(0, end);
      connection.pending.erase(0, end + 1);
      std::string reply = "{\"error\":\"say: run NUMBER\"}\n";
      if (line.starts_with("run ")) {
        reply = sink_.report(std::strtoull(line.c_str() + 4, nullptr, 10));
      }
      send_all(connection.fd.get(), reply.data(), reply.size());
    }
    return true;
  }

  static std::vector<char> make_pattern() {
    std::vector<char> pattern(251 * 523);
    for (std::size_t i = 0; i < pattern.size(); ++i) pattern[i] = static_cast<char>(i % 251);
    return pattern;
  }

  Epoll epoll_;
  std::vector<Listener> listeners_;
  std::vector<UniqueFd> udp_;
  std::vector<int> slow_;
  std::unordered_map<int, std::unique_ptr<Connection>> connections_;
  std::vector<char> buffer_ = std::vector<char>(256 * 1024);
  std::vector<char> pattern_ = make_pattern();
  Sink sink_;
};

void open_ports(const Arguments& arguments, Server& server) {
  const std::array<std::pair<const char*, Role>, 5> roles{{{"--echo", Role::kEcho},
                                                           {"--discard", Role::kDiscard},
                                                           {"--chargen", Role::kChargen},
                                                           {"--control", Role::kControl},
                                                           {"--transfer", Role::kTransfer}}};
  for (const auto& [name, role] : roles) {
    for (const std::string_view port : arguments.all(name)) {
      server.listen(arguments.parse_port(port), role);
    }
  }
  for (const std::string_view value : arguments.all("--slow")) {
    const std::size_t colon = value.find(':');
    if (colon == std::string_view::npos) arguments.fail("expected PORT:RATE, not", value);
    server.listen(arguments.parse_port(value.substr(0, colon)), Role::kSlow,
                  arguments.parse(value.substr(colon + 1)));
  }
  for (const std::string_view port : arguments.all("--udp-echo")) {
    server.open_udp(arguments.parse_port(port), Kind::kUdpEcho);
  }
  for (const std::string_view port : arguments.all("--udp-sink")) {
    server.open_udp(arguments.parse_port(port), Kind::kUdpSink);
  }
  for (const std::string_view port : arguments.all("--blocking-echo")) {
    serve_blocking_streams(open_listener(arguments.parse_port(port), 0));
  }
  for (const std::string_view port : arguments.all("--blocking-udp-echo")) {
    serve_blocking_datagrams(open_bound(arguments.parse_port(port), SOCK_DGRAM));
  }
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  using namespace sluice::bench;
  const Arguments arguments(
      argc, argv, {"lab-server [--echo PORT] [--OTHER-SERVICE PORT]…", kHelp + 1},
      {"--echo", "--discard", "--chargen", "--slow", "--transfer", "--udp-echo", "--udp-sink",
       "--control", "--blocking-echo", "--blocking-udp-echo"},
      {});
  arguments.require_positional(0);
  raise_descriptor_limit(100'000);
  Server server;
  open_ports(arguments, server);
  server.run();
}
