// UDP request-response: a datagram and its echo, N times on each of M sockets, one socket after
// the other, or on all of them at a rate. Each datagram carries its number, so that a late echo is
// not taken for the next one's; an echo that has not come in time counts as lost.
#include "clients/histogram.h"
#include "clients/latency_options.h"
#include "clients/latency_run.h"
#include "clients/pacing.h"
#include "clients/sockets.h"
#include "clients/summary.h"

namespace sluice::bench {
namespace {

const LatencyClient kClient{
    .name = "udp-rr-client",
    .count = "ROUND-TRIPS",
    .measured =
        "UDP request-response, v4 or v6: sends a datagram of BYTES to an echo port and waits for\n"
        "its echo; ROUND-TRIPS times on each of M sockets, one socket after the other. With a\n"
        "rate all M sockets are in use at once.\n",
    .on_failure =
        "An echo that does not come in time is counted as lost. Without --rate any other\n"
        "error ends the run with status 1; with it errors are counted by kind, and the\n"
        "status is 1 only when no echo came at all.\n",
    .example =
        "  lab-server --udp-echo 7007 &\n"
        "  udp-rr-client 10.0.0.2 7007 10000\n"
        "  udp-rr-client 10.0.0.2 7007 --rate 2000 --seconds 5 --concurrency 16 --json\n",
    .size = 8,
    .size_least = 8,
    .timeout_ms = 200,
    .timeout_needs_rate = false,
};

UniqueFd open_datagram(const Address& server, int flags = 0) {
  UniqueFd fd = open_socket(server.family(), SOCK_DGRAM | flags);
  if (::connect(fd.get(), server.get(), server.length) != 0) die("connect");
  return fd;
}

bool is_echo_of(std::uint64_t sequence, std::size_t got, const std::vector<char>& buffer) {
  if (got != buffer.size()) die("echo of another size", EBADMSG);
  std::uint64_t echoed = 0;
  std::memcpy(&echoed, buffer.data(), sizeof echoed);
  return echoed == sequence;
}

// True when the echo of number `sequence` came before the socket's receive timeout.
bool await_echo(int fd, std::uint64_t sequence, std::vector<char>& buffer) {
  while (true) {
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (got < 0) die("recv");
    if (is_echo_of(sequence, static_cast<std::size_t>(got), buffer)) return true;
  }
}

std::uint64_t run_socket(const LatencyOptions& options, std::vector<char>& buffer,
                         Histogram& latency) {
  const UniqueFd fd = open_datagram(options.server);
  const timeval timeout{static_cast<time_t>(options.timeout_ns / 1'000'000'000U),
                        static_cast<suseconds_t>(options.timeout_ns % 1'000'000'000U / 1000)};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  std::uint64_t lost = 0;
  for (std::uint64_t sequence = 0; sequence < options.per_flow; ++sequence) {
    std::memcpy(buffer.data(), &sequence, sizeof sequence);
    const std::uint64_t started = now_ns();
    if (::send(fd.get(), buffer.data(), buffer.size(), 0) < 0) die("send");
    if (await_echo(fd.get(), sequence, buffer)) {
      latency.record(now_ns() - started);
    } else {
      ++lost;
    }
  }
  return lost;
}

class PacedSockets {
 public:
  PacedSockets(const LatencyOptions& options, PacedWork& work)
      : work_(work), buffer_(options.size, 'x'), sockets_(options.flows) {
    for (std::size_t i = 0; i < sockets_.size(); ++i) {
      sockets_[i].fd = open_datagram(options.server, SOCK_NONBLOCK);
      epoll_.add(sockets_[i].fd.get(), EPOLLIN, i);
    }
  }

  void run() {
    while (!work_.done()) {
      while (const auto slot = work_.take(now_ns())) send_request(*slot);
      while (const auto slot = work_.expire(now_ns())) sockets_[*slot].waiting = false;
      if (work_.done()) return;
      for (const epoll_event& event : epoll_.wait_ns(work_.wait_ns(now_ns()))) {
        receive(event.data.u64);
      }
    }
  }

 private:
  struct Socket {
    UniqueFd fd;
    std::uint64_t sequence = 0;
    bool waiting = false;
  };

  void send_request(std::size_t slot) {
    Socket& socket = sockets_[slot];
    ++socket.sequence;
    std::memcpy(buffer_.data(), &socket.sequence, sizeof socket.sequence);
    if (::send(socket.fd.get(), buffer_.data(), buffer_.size(), 0) < 0) {
      work_.fail(slot, errno);
      return;
    }
    socket.waiting = true;
  }

  // Also takes away late echoes, and errors that came back when nothing was awaited any more.
  void receive(std::size_t slot) {
    Socket& socket = sockets_[slot];
    const ssize_t got = ::recv(socket.fd.get(), buffer_.data(), buffer_.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (!socket.waiting) return;
    if (got < 0) {
      socket.waiting = false;
      work_.fail(slot, errno);
    } else if (is_echo_of(socket.sequence, static_cast<std::size_t>(got), buffer_)) {
      socket.waiting = false;
      work_.finish(slot, now_ns());
    }
  }

  PacedWork& work_;
  std::vector<char> buffer_;
  std::vector<Socket> sockets_;
  Epoll epoll_;
};

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  using namespace sluice::bench;
  const LatencyOptions options = parse_latency(latency_arguments(argc, argv, kClient), kClient);
  raise_descriptor_limit(options.flows + 64);
  if (options.rate > 0) {
    return run_at_rate(options, [&](PacedWork& work) { PacedSockets(options, work).run(); });
  }
  std::vector<Histogram> latencies(options.flows);
  std::vector<char> buffer(options.size, 'x');
  std::uint64_t lost = 0;
  const std::uint64_t started = now_ns();
  for (Histogram& latency : latencies) lost += run_socket(options, buffer, latency);
  print_summary(summarise(latencies), options.flows, now_ns() - started, lost, options.json);
}
