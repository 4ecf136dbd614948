// UDP request-response: a datagram and its echo, N times on each of M sockets, one socket after
// the other. Each datagram carries its number, so that a late echo is not taken for the next
// one's; an echo that has not come after 200 ms counts as lost.
#include "clients/arguments.h"
#include "clients/histogram.h"
#include "clients/sockets.h"
#include "clients/summary.h"

namespace sluice::bench {
namespace {

constexpr const char* kUsage =
    "udp-rr-client HOST PORT ROUND-TRIPS [--concurrency SOCKETS] [--size BYTES] [--json]";

// True when the echo of number `sequence` came before the socket's receive timeout.
bool await_echo(int fd, std::uint64_t sequence, std::vector<char>& buffer) {
  while (true) {
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (got < 0) die("recv");
    std::uint64_t echoed = 0;
    if (static_cast<std::size_t>(got) != buffer.size()) die("echo of another size", EBADMSG);
    std::memcpy(&echoed, buffer.data(), sizeof echoed);
    if (echoed == sequence) return true;
  }
}

std::uint64_t run_socket(const Address& server, std::uint64_t trips, std::vector<char>& buffer,
                         Histogram& latency) {
  const UniqueFd fd = open_socket(server.family(), SOCK_DGRAM);
  const timeval timeout{.tv_sec = 0, .tv_usec = 200'000};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  if (::connect(fd.get(), server.get(), server.length) != 0) die("connect");
  std::uint64_t lost = 0;
  for (std::uint64_t sequence = 0; sequence < trips; ++sequence) {
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

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  using namespace sluice::bench;
  const Arguments arguments(argc, argv, kUsage, {"--concurrency", "--size"}, {"--json"});
  arguments.require_positional(3);
  const Address server = resolve(arguments.text(0), arguments.number(1));
  const std::size_t flows = arguments.number("--concurrency", 1);
  const std::size_t size = arguments.number("--size", 8);
  if (size < 8) arguments.fail("must be at least 8 bytes:", "--size");

  std::vector<Histogram> latencies(flows);
  std::vector<char> buffer(size, 'x');
  std::uint64_t lost = 0;
  const std::uint64_t started = now_ns();
  for (Histogram& latency : latencies) {
    lost += run_socket(server, arguments.number(2), buffer, latency);
  }
  print_summary(summarise(latencies), flows, now_ns() - started, lost, arguments.has("--json"));
}
