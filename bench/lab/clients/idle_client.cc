// Opens N connections to an echo port and holds them idle until its standard input closes; then
// proves by one byte on each that all are still alive. Exit status 1 when one is not.
#include "clients/histogram.h"
#include "clients/latency_options.h"
#include "clients/sockets.h"
#include "clients/summary.h"

namespace sluice::bench {
namespace {

const char* const kHelp = R"(
Many idle connections: opens CONNECTIONS to an echo port, one after the other, and holds them until
standard input closes; then sends one byte on each and waits for it to come back. Memory per
connection of whatever carries them can be read between `open` and the end.

Options:
  --ping-first     a byte there and back on each connection as soon as it is open
  --family 4|6     the address to use where HOST is a name that has both
  --json           JSON instead of the two lines

Output: `open N`, and at the end `alive N of N`. JSON, one object a line: open, seconds (to open
all), rate_per_s, and p50_ns, p90_ns, p99_ns, p999_ns, mean_ns, min_ns, max_ns of one connect (with
--ping-first the byte included); at the end alive, of and seconds (to ask all of them).

Exit status: 0; 1 when a connection did not open or is no longer alive; 2 for a wrong command line.

Example:
  lab-server --echo 7007 &
  sleep 10 | idle-client 10.0.0.2 7007 10000 --json
)";

// One byte there and back.
bool ping(int fd) {
  char byte = '\0';  // As kFiller of the clients of latency: no text.
  if (::send(fd, &byte, 1, MSG_NOSIGNAL) != 1) return false;
  return ::recv(fd, &byte, 1, 0) == 1 && byte == '\0';
}

std::size_t count_alive(const std::vector<UniqueFd>& connections) {
  std::size_t alive = 0;
  for (const UniqueFd& fd : connections) alive += ping(fd.get()) ? 1 : 0;
  return alive;
}

UniqueFd open_connection(const Address& server, bool ping_first) {
  UniqueFd fd = open_stream(server.family());
  connect_stream(fd.get(), server);
  // A stuck flow must fail the check, not hang it.
  const timeval timeout{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  if (ping_first && !ping(fd.get())) die("first ping");
  return fd;
}

void print_open(std::size_t count, std::uint64_t elapsed_ns, const LatencySummary& connects,
                bool json) {
  if (json) {
    fmt::print("{{\"open\":{},\"seconds\":{:.6f},\"rate_per_s\":{:.1f},{}}}\n", count,
               static_cast<double>(elapsed_ns) / 1e9, per_second(count, elapsed_ns),
               quantile_fields(connects));
  } else {
    fmt::print("open {}\n", count);
  }
  std::fflush(stdout);
}

void await_end_of_input() {
  char buffer[256];
  while (::read(STDIN_FILENO, buffer, sizeof buffer) > 0) {
  }
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  using namespace sluice::bench;
  const Arguments arguments(
      argc, argv,
      {"idle-client HOST PORT CONNECTIONS [--ping-first] [--family 4|6] [--json]", kHelp + 1},
      {"--family"}, {"--ping-first", "--json"});
  arguments.require_positional(3);
  const bool json = arguments.has("--json");
  const std::uint64_t count = arguments.number(2);
  const Address server = resolve(arguments.text(0), arguments.port(1), family_option(arguments));
  raise_descriptor_limit(count + 64);

  std::vector<sluice::UniqueFd> connections;
  connections.reserve(count);
  std::vector<Histogram> latency(1);
  const std::uint64_t started = now_ns();
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t before = now_ns();
    connections.push_back(open_connection(server, arguments.has("--ping-first")));
    latency[0].record(now_ns() - before);
  }
  print_open(connections.size(), now_ns() - started, summarise(latency), json);
  await_end_of_input();

  const std::uint64_t asked = now_ns();
  const std::size_t alive = count_alive(connections);
  if (json) {
    fmt::print("{{\"alive\":{},\"of\":{},\"seconds\":{:.6f}}}\n", alive, connections.size(),
               static_cast<double>(now_ns() - asked) / 1e9);
  } else {
    fmt::print("alive {} of {}\n", alive, connections.size());
  }
  return alive == connections.size() ? 0 : 1;
}
