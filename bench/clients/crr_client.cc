// Connect-request-response: connect, send a request, wait for its echo, close; N times, in M flows
// at once. The latency of a cycle runs from before socket() until the reply is complete.
#include "clients/arguments.h"
#include "clients/histogram.h"
#include "clients/sockets.h"
#include "clients/summary.h"

namespace sluice::bench {
namespace {

constexpr const char* kUsage =
    "crr-client HOST PORT CYCLES [--concurrency FLOWS] [--size BYTES] [--json]";

// One flow needs no event loop, and its system calls would only add to what is measured.
void run_alone(const Address& server, std::uint64_t cycles, std::vector<char>& buffer,
               Histogram& latency) {
  for (std::uint64_t i = 0; i < cycles; ++i) {
    const std::uint64_t started = now_ns();
    const UniqueFd fd = open_stream(server.family());
    if (::connect(fd.get(), server.get(), server.length) != 0) die("connect");
    send_all(fd.get(), buffer.data(), buffer.size());
    receive_all(fd.get(), buffer.data(), buffer.size());
    latency.record(now_ns() - started);
  }
}

class ConcurrentCycles {
 public:
  ConcurrentCycles(const Address& server, std::uint64_t cycles, std::size_t size,
                   std::vector<Histogram>& latencies)
      : server_(server), buffer_(size, 'x'), latencies_(latencies), flows_(latencies.size()) {
    for (std::size_t i = 0; i < flows_.size(); ++i) {
      flows_[i].cycles_left = cycles;
      start_cycle(i);
    }
  }

  void run() {
    while (active_ > 0) {
      const auto events = epoll_.wait(30'000);
      if (events.empty()) die("no progress", ETIMEDOUT);
      for (const epoll_event& event : events) step(event.data.u64);
    }
  }

 private:
  struct Flow {
    UniqueFd fd;
    std::uint64_t cycles_left = 0;
    std::uint64_t started = 0;
    std::size_t received = 0;
    bool connected = false;
  };

  void start_cycle(std::size_t index) {
    Flow& flow = flows_[index];
    if (flow.cycles_left == 0) return;
    --flow.cycles_left;
    ++active_;
    flow.started = now_ns();
    flow.received = 0;
    flow.connected = false;
    flow.fd = open_stream(server_.family(), SOCK_NONBLOCK);
    if (::connect(flow.fd.get(), server_.get(), server_.length) != 0 && errno != EINPROGRESS) {
      die("connect");
    }
    epoll_.add(flow.fd.get(), EPOLLOUT, index);
  }

  void step(std::size_t index) {
    Flow& flow = flows_[index];
    if (!flow.connected) {
      if (const int error = socket_error(flow.fd.get()); error != 0) die("connect", error);
      flow.connected = true;
      send_all(flow.fd.get(), buffer_.data(), buffer_.size());
      epoll_.modify(flow.fd.get(), EPOLLIN, index);
      return;
    }
    const ssize_t got = ::recv(flow.fd.get(), buffer_.data(), buffer_.size() - flow.received, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) die("recv", got == 0 ? ECONNRESET : errno);
    flow.received += static_cast<std::size_t>(got);
    if (flow.received < buffer_.size()) return;
    latencies_[index].record(now_ns() - flow.started);
    flow.fd.reset();
    --active_;
    start_cycle(index);
  }

  Address server_;
  std::vector<char> buffer_;
  std::vector<Histogram>& latencies_;
  std::vector<Flow> flows_;
  Epoll epoll_;
  std::size_t active_ = 0;
};

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  using namespace sluice::bench;
  const Arguments arguments(argc, argv, kUsage, {"--concurrency", "--size"}, {"--json"});
  arguments.require_positional(3);
  const Address server = resolve(arguments.text(0), arguments.number(1));
  const std::uint64_t cycles = arguments.number(2);
  const std::size_t flows = arguments.number("--concurrency", 1);
  const std::size_t size = arguments.number("--size", 1);
  if (flows == 0 || size == 0) arguments.fail("must not be zero:", "--concurrency, --size");
  raise_descriptor_limit(flows + 64);

  std::vector<Histogram> latencies(flows);
  const std::uint64_t started = now_ns();
  if (flows == 1) {
    std::vector<char> buffer(size, 'x');
    run_alone(server, cycles, buffer, latencies[0]);
  } else {
    ConcurrentCycles(server, cycles, size, latencies).run();
  }
  print_summary(summarise(latencies), flows, now_ns() - started, 0, arguments.has("--json"));
}
