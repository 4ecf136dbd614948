// Request-response over connections that stay open: send a request, wait for all of its echo,
// then send the next; N round trips on each of M connections at once. Never two requests in
// flight on one connection, so every sample is a true round trip.
#include "clients/arguments.h"
#include "clients/histogram.h"
#include "clients/sockets.h"
#include "clients/summary.h"

namespace sluice::bench {
namespace {

constexpr const char* kUsage =
    "rr-client HOST PORT ROUND-TRIPS [--concurrency FLOWS] [--size BYTES] [--json]";

void run_alone(const Address& server, std::uint64_t trips, std::vector<char>& buffer,
               Histogram& latency) {
  const UniqueFd fd = open_stream(server.family());
  if (::connect(fd.get(), server.get(), server.length) != 0) die("connect");
  for (std::uint64_t i = 0; i < trips; ++i) {
    const std::uint64_t started = now_ns();
    send_all(fd.get(), buffer.data(), buffer.size());
    receive_all(fd.get(), buffer.data(), buffer.size());
    latency.record(now_ns() - started);
  }
}

class ConcurrentTrips {
 public:
  ConcurrentTrips(const Address& server, std::uint64_t trips, std::size_t size,
                  std::vector<Histogram>& latencies)
      : server_(server),
        request_(size, 'x'),
        reply_(size),
        trips_(trips),
        latencies_(latencies),
        flows_(latencies.size()) {}

  void connect_all() {
    // Few connects at a time: this client measures round trips, not the server's backlog.
    constexpr std::size_t kConnectsInFlight = 128;
    std::size_t next = 0;
    while (connected_ < flows_.size()) {
      while (next < flows_.size() && next - connected_ < kConnectsInFlight) open(next++);
      for (const epoll_event& event : wait()) finish_connect(event.data.u64);
    }
  }

  void run() {
    if (trips_ == 0) return;
    for (std::size_t i = 0; i < flows_.size(); ++i) {
      flows_[i].trips_left = trips_;
      epoll_.modify(flows_[i].fd.get(), EPOLLIN, i);
      send_request(flows_[i]);
      if (flows_[i].unsent > 0) epoll_.modify(flows_[i].fd.get(), EPOLLIN | EPOLLOUT, i);
    }
    std::size_t active = flows_.size();
    while (active > 0) {
      for (const epoll_event& event : wait()) {
        if (step(event)) --active;
      }
    }
  }

 private:
  struct Flow {
    UniqueFd fd;
    std::uint64_t trips_left = 0;
    std::uint64_t started = 0;
    std::size_t unsent = 0;
    std::size_t awaited = 0;
    bool connected = false;
  };

  std::span<const epoll_event> wait() {
    const auto events = epoll_.wait(30'000);
    if (events.empty()) die("no progress", ETIMEDOUT);
    return events;
  }

  void open(std::size_t index) {
    Flow& flow = flows_[index];
    flow.fd = open_stream(server_.family(), SOCK_NONBLOCK);
    if (::connect(flow.fd.get(), server_.get(), server_.length) != 0 && errno != EINPROGRESS) {
      die("connect");
    }
    epoll_.add(flow.fd.get(), EPOLLOUT, index);
  }

  void finish_connect(std::size_t index) {
    Flow& flow = flows_[index];
    if (const int error = socket_error(flow.fd.get()); error != 0) die("connect", error);
    if (flow.connected) return;
    flow.connected = true;
    ++connected_;
    epoll_.modify(flow.fd.get(), 0, index);
  }

  void send_request(Flow& flow) {
    flow.started = now_ns();
    flow.unsent = request_.size();
    flow.awaited = request_.size();
    continue_request(flow);
  }

  void continue_request(Flow& flow) {
    const ssize_t sent = ::send(flow.fd.get(), request_.data(), flow.unsent, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) die("send");
    if (sent > 0) flow.unsent -= static_cast<std::size_t>(sent);
  }

  // True when the flow has made its last round trip.
  bool step(const epoll_event& event) {
    const std::size_t index = event.data.u64;
    Flow& flow = flows_[index];
    if (flow.unsent > 0) {
      continue_request(flow);
      if (flow.unsent == 0) epoll_.modify(flow.fd.get(), EPOLLIN, index);
    }
    const ssize_t got = ::recv(flow.fd.get(), reply_.data(), flow.awaited, 0);
    if (got < 0 && errno == EAGAIN) return false;
    if (got <= 0) die("recv", got == 0 ? ECONNRESET : errno);
    flow.awaited -= static_cast<std::size_t>(got);
    if (flow.awaited > 0) return false;
    latencies_[index].record(now_ns() - flow.started);
    if (--flow.trips_left == 0) {
      epoll_.modify(flow.fd.get(), 0, index);
      return true;
    }
    send_request(flow);
    if (flow.unsent > 0) epoll_.modify(flow.fd.get(), EPOLLIN | EPOLLOUT, index);
    return false;
  }

  Address server_;
  std::vector<char> request_;
  std::vector<char> reply_;
  std::uint64_t trips_;
  std::vector<Histogram>& latencies_;
  std::vector<Flow> flows_;
  Epoll epoll_;
  std::size_t connected_ = 0;
};

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  using namespace sluice::bench;
  const Arguments arguments(argc, argv, kUsage, {"--concurrency", "--size"}, {"--json"});
  arguments.require_positional(3);
  const Address server = resolve(arguments.text(0), arguments.number(1));
  const std::uint64_t trips = arguments.number(2);
  const std::size_t flows = arguments.number("--concurrency", 1);
  const std::size_t size = arguments.number("--size", 1);
  if (flows == 0 || size == 0) arguments.fail("must not be zero:", "--concurrency, --size");
  raise_descriptor_limit(flows + 64);

  std::vector<Histogram> latencies(flows);
  std::uint64_t started = now_ns();
  if (flows == 1) {
    std::vector<char> buffer(size, 'x');
    run_alone(server, trips, buffer, latencies[0]);
  } else {
    ConcurrentTrips round_trips(server, trips, size, latencies);
    round_trips.connect_all();
    started = now_ns();
    round_trips.run();
  }
  print_summary(summarise(latencies), flows, now_ns() - started, 0, arguments.has("--json"));
}
