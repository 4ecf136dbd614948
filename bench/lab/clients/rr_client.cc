// Request-response over connections that stay open: send a request, wait for all of its echo,
// then send the next; N round trips on each of M connections at once, or at a rate. Never two
// requests in flight on one connection, so every sample is a true round trip.
#include "clients/histogram.h"
#include "clients/latency_options.h"
#include "clients/latency_run.h"
#include "clients/pacing.h"
#include "clients/sockets.h"
#include "clients/summary.h"

namespace sluice::bench {
namespace {

const LatencyClient kClient{
    .name = "rr-client",
    .count = "ROUND-TRIPS",
    .measured =
        "Request-response over TCP, v4 or v6, on connections that stay open: sends BYTES to an\n"
        "echo port and waits until all of them came back; ROUND-TRIPS times on each of M\n"
        "connections at once. Never two requests in flight on one connection, so every sample is\n"
        "a true round trip. Connecting is not measured.\n",
    .on_failure =
        "The first failure ends the run with status 1, with --rate also a round trip that\n"
        "takes longer than T: a connection that lost bytes cannot go on.\n",
    .example =
        "  lab-server --echo 7007 &\n"
        "  rr-client 10.0.0.2 7007 20000\n"
        "  rr-client 10.0.0.2 7007 --rate 5000 --seconds 5 --concurrency 8 --json\n",
    .timeout_ms = 30'000,
};

void run_alone(const LatencyOptions& options, Histogram& latency) {
  std::vector<char> buffer(options.size, kFiller);
  const UniqueFd fd = open_stream(options.server.family());
  connect_stream(fd.get(), options.server);
  for (std::uint64_t i = 0; i < options.per_flow; ++i) {
    const std::uint64_t started = now_ns();
    send_all(fd.get(), buffer.data(), buffer.size());
    receive_all(fd.get(), buffer.data(), buffer.size());
    latency.record(now_ns() - started);
  }
}

class Connections {
 public:
  explicit Connections(const LatencyOptions& options)
      : server_(options.server),
        request_(options.size, kFiller),
        reply_(options.size),
        flows_(options.flows) {
    // Few connects at a time: this client measures round trips, not the server's backlog.
    constexpr std::size_t kConnectsInFlight = 128;
    std::size_t next = 0;
    while (connected_ < flows_.size()) {
      while (next < flows_.size() && next - connected_ < kConnectsInFlight) open(next++);
      const auto events = epoll_.wait(30'000);
      if (events.empty()) die("connect", ETIMEDOUT);
      for (const epoll_event& event : events) finish_connect(event.data.u64);
    }
    for (std::size_t i = 0; i < flows_.size(); ++i) epoll_.modify(flows_[i].fd.get(), EPOLLIN, i);
  }

  void start(std::size_t index) {
    Flow& flow = flows_[index];
    flow.unsent = request_.size();
    flow.awaited = request_.size();
    send_more(flow);
    if (flow.unsent > 0) epoll_.modify(flow.fd.get(), EPOLLIN | EPOLLOUT, index);
  }

  // When the flow's socket is ready: true when its round trip is over.
  bool step(std::size_t index) {
    Flow& flow = flows_[index];
    if (flow.unsent > 0) {
      send_more(flow);
      if (flow.unsent == 0) epoll_.modify(flow.fd.get(), EPOLLIN, index);
    }
    // An idle flow asks for a byte, so that its end is seen.
    const std::size_t wanted = std::max<std::size_t>(flow.awaited, 1);
    const ssize_t got = ::recv(flow.fd.get(), reply_.data(), wanted, 0);
    if (got < 0 && errno == EAGAIN) return false;
    if (got <= 0) die("recv", got == 0 ? ECONNRESET : errno);
    if (flow.awaited == 0) die("a reply without a request", EBADMSG);
    flow.awaited -= static_cast<std::size_t>(got);
    return flow.awaited == 0;
  }

  Epoll& epoll() { return epoll_; }

 private:
  struct Flow {
    UniqueFd fd;
    std::size_t unsent = 0;
    std::size_t awaited = 0;
    bool connected = false;
  };

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

  void send_more(Flow& flow) {
    const ssize_t sent = ::send(flow.fd.get(), request_.data(), flow.unsent, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) die("send");
    if (sent > 0) flow.unsent -= static_cast<std::size_t>(sent);
  }

  Address server_;
  std::vector<char> request_;
  std::vector<char> reply_;
  std::vector<Flow> flows_;
  Epoll epoll_;
  std::size_t connected_ = 0;
};

// Each connection sends its next request as soon as the answer is complete.
void run_busy(const LatencyOptions& options, Connections& connections,
              std::vector<Histogram>& latencies) {
  if (options.per_flow == 0) return;
  std::vector<std::uint64_t> trips_left(options.flows, options.per_flow);
  std::vector<std::uint64_t> started(options.flows);
  std::size_t active = options.flows;
  for (std::size_t i = 0; i < options.flows; ++i) {
    started[i] = now_ns();
    connections.start(i);
  }
  while (active > 0) {
    const auto events = connections.epoll().wait(30'000);
    if (events.empty()) die("no progress", ETIMEDOUT);
    for (const epoll_event& event : events) {
      const std::size_t i = event.data.u64;
      if (!connections.step(i)) continue;
      latencies[i].record(now_ns() - started[i]);
      if (--trips_left[i] == 0) {
        --active;
        continue;
      }
      started[i] = now_ns();
      connections.start(i);
    }
  }
}

void run_paced(Connections& connections, PacedWork& work) {
  while (!work.done()) {
    while (const auto slot = work.take(now_ns())) connections.start(*slot);
    if (work.expire(now_ns())) die("no answer", ETIMEDOUT);
    for (const epoll_event& event : connections.epoll().wait_ns(work.wait_ns(now_ns()))) {
      if (connections.step(event.data.u64)) work.finish(event.data.u64, now_ns());
    }
  }
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  using namespace sluice::bench;
  const LatencyOptions options = parse_latency(latency_arguments(argc, argv, kClient), kClient);
  raise_descriptor_limit(options.flows + 64);
  if (options.rate > 0) {
    Connections connections(options);
    return run_at_rate(options, [&](PacedWork& work) { run_paced(connections, work); });
  }
  std::vector<Histogram> latencies(options.flows);
  std::uint64_t started = now_ns();
  if (options.flows == 1) {
    run_alone(options, latencies[0]);
  } else {
    Connections connections(options);
    started = now_ns();
    run_busy(options, connections, latencies);
  }
  print_summary(summarise(latencies), options.flows, now_ns() - started, 0, options.json);
}
