// Connect-request-response: connect, send a request, wait for its echo, close; N times, in M flows
// at once, or at a rate. The latency of a cycle runs from before socket(), or from its due time,
// until the reply is complete.
#include "clients/histogram.h"
#include "clients/latency_options.h"
#include "clients/latency_run.h"
#include "clients/pacing.h"
#include "clients/sockets.h"
#include "clients/summary.h"

namespace sluice::bench {
namespace {

const LatencyClient kClient{
    .name = "crr-client",
    .count = "CYCLES",
    .measured =
        "Connect-request-response over TCP, v4 or v6: opens a connection to an echo port, sends\n"
        "BYTES, waits until all of them came back, and closes; CYCLES times in each of M flows at\n"
        "once. One cycle's latency runs from before socket() until the reply is complete. A run\n"
        "of many cycles needs net.ipv4.tcp_max_tw_buckets=0 where the client runs, or its ports\n"
        "end up in TIME_WAIT.\n",
    .on_failure =
        "Without --rate the first failure ends the run with status 1. With it, failures\n"
        "are counted by kind; the status is 1 only when no cycle succeeded.\n",
    .example =
        "  lab-server --echo 7007 &\n"
        "  crr-client 10.0.0.2 7007 4000\n"
        "  crr-client 10.0.0.2 7007 --rate 1000 --seconds 10 --concurrency 64 --json\n",
};

// One flow needs no event loop, and its system calls would only add to what is measured.
void run_alone(const LatencyOptions& options, Histogram& latency) {
  std::vector<char> buffer(options.size, kFiller);
  for (std::uint64_t i = 0; i < options.per_flow; ++i) {
    const std::uint64_t started = now_ns();
    const UniqueFd fd = open_stream(options.server.family());
    connect_stream(fd.get(), options.server);
    send_all(fd.get(), buffer.data(), buffer.size());
    receive_all(fd.get(), buffer.data(), buffer.size());
    latency.record(now_ns() - started);
  }
}

// The sockets of M flows that each run one cycle at a time.
class Cycles {
 public:
  enum class State : std::uint8_t { kRunning, kDone, kFailed };
  struct Progress {
    State state = State::kRunning;
    int error = 0;  // Of a failure: an errno.
  };

  explicit Cycles(const LatencyOptions& options)
      : server_(options.server),
        request_(options.size, kFiller),
        reply_(options.size),
        flows_(options.flows) {}

  Progress start(std::size_t index) {
    Flow& flow = flows_[index];
    flow = {};
    flow.unsent = request_.size();
    flow.awaited = request_.size();
    flow.fd = open_stream(server_.family(), SOCK_NONBLOCK);
    if (::connect(flow.fd.get(), server_.get(), server_.length) != 0 && errno != EINPROGRESS) {
      return fail(flow, errno);
    }
    epoll_.add(flow.fd.get(), EPOLLOUT, index);
    return {};
  }

  // When the flow's socket is ready.
  Progress step(std::size_t index) {
    Flow& flow = flows_[index];
    if (!flow.connected) {
      if (const int error = socket_error(flow.fd.get()); error != 0) return fail(flow, error);
      flow.connected = true;
      if (const int error = send_more(flow); error != 0) return fail(flow, error);
      epoll_.modify(flow.fd.get(), flow.unsent > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN, index);
      return {};
    }
    if (flow.unsent > 0) {
      if (const int error = send_more(flow); error != 0) return fail(flow, error);
      if (flow.unsent == 0) epoll_.modify(flow.fd.get(), EPOLLIN, index);
    }
    const ssize_t got = ::recv(flow.fd.get(), reply_.data(), flow.awaited, 0);
    if (got < 0 && errno == EAGAIN) return {};
    if (got <= 0) return fail(flow, got == 0 ? ECONNRESET : errno);
    flow.awaited -= static_cast<std::size_t>(got);
    if (flow.awaited > 0) return {};
    flow.fd.reset();
    return {.state = State::kDone};
  }

  void abandon(std::size_t index) { flows_[index].fd.reset(); }

  Epoll& epoll() { return epoll_; }

 private:
  struct Flow {
    UniqueFd fd;
    std::size_t unsent = 0;
    std::size_t awaited = 0;
    bool connected = false;
  };

  static Progress fail(Flow& flow, int error) {
    flow.fd.reset();
    return {.state = State::kFailed, .error = error};
  }

  int send_more(Flow& flow) {
    const ssize_t sent = ::send(flow.fd.get(), request_.data(), flow.unsent, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN ? 0 : errno;
    flow.unsent -= static_cast<std::size_t>(sent);
    return 0;
  }

  Address server_;
  std::vector<char> request_;
  std::vector<char> reply_;
  std::vector<Flow> flows_;
  Epoll epoll_;
};

// Each flow starts its next cycle as soon as one is over.
class BusyRun {
 public:
  BusyRun(const LatencyOptions& options, std::vector<Histogram>& latencies)
      : cycles_(options),
        latencies_(latencies),
        cycles_left_(options.flows, options.per_flow),
        started_(options.flows) {}

  void run() {
    for (std::size_t i = 0; i < started_.size(); ++i) start_next(i);
    while (active_ > 0) {
      const auto events = cycles_.epoll().wait(30'000);
      if (events.empty()) die("no progress", ETIMEDOUT);
      for (const epoll_event& event : events) {
        const std::size_t index = event.data.u64;
        if (!advance(cycles_.step(index))) continue;
        latencies_[index].record(now_ns() - started_[index]);
        --active_;
        start_next(index);
      }
    }
  }

 private:
  void start_next(std::size_t index) {
    if (cycles_left_[index] == 0) return;
    --cycles_left_[index];
    ++active_;
    started_[index] = now_ns();
    advance(cycles_.start(index));
  }

  // True when the cycle is over.
  static bool advance(const Cycles::Progress& progress) {
    if (progress.state == Cycles::State::kFailed) die("connect-request-response", progress.error);
    return progress.state == Cycles::State::kDone;
  }

  Cycles cycles_;
  std::vector<Histogram>& latencies_;
  std::vector<std::uint64_t> cycles_left_;
  std::vector<std::uint64_t> started_;
  std::size_t active_ = 0;
};

// Starts cycles when they are due, and outlives their failures.
void run_paced(const LatencyOptions& options, PacedWork& work) {
  Cycles cycles(options);
  const auto note = [&](std::size_t slot, const Cycles::Progress& progress) {
    if (progress.state == Cycles::State::kDone) work.finish(slot, now_ns());
    if (progress.state == Cycles::State::kFailed) work.fail(slot, progress.error);
  };
  while (!work.done()) {
    while (const auto slot = work.take(now_ns())) note(*slot, cycles.start(*slot));
    while (const auto slot = work.expire(now_ns())) cycles.abandon(*slot);
    if (work.done()) break;
    for (const epoll_event& event : cycles.epoll().wait_ns(work.wait_ns(now_ns()))) {
      note(event.data.u64, cycles.step(event.data.u64));
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
    return run_at_rate(options, [&](PacedWork& work) { run_paced(options, work); });
  }
  std::vector<Histogram> latencies(options.flows);
  const std::uint64_t started = now_ns();
  if (options.flows == 1) {
    run_alone(options, latencies[0]);
  } else {
    BusyRun(options, latencies).run();
  }
  print_summary(summarise(latencies), options.flows, now_ns() - started, 0, options.json);
}
