// Opens N connections to an echo port and holds them idle until its standard input closes; then
// proves by one byte on each that all are still alive. Exit status 1 when one is not.
#include <sys/resource.h>

#include "clients/arguments.h"
#include "clients/sockets.h"

namespace sluice::bench {
namespace {

constexpr const char* kUsage = "idle-client HOST PORT CONNECTIONS [--ping-first]";

// One byte there and back.
bool ping(int fd) {
  char byte = 'p';
  if (::send(fd, &byte, 1, MSG_NOSIGNAL) != 1) return false;
  return ::recv(fd, &byte, 1, 0) == 1 && byte == 'p';
}

std::size_t count_alive(const std::vector<UniqueFd>& connections) {
  std::size_t alive = 0;
  for (const UniqueFd& fd : connections) alive += ping(fd.get()) ? 1 : 0;
  return alive;
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
  const Arguments arguments(argc, argv, kUsage, {}, {"--ping-first"});
  arguments.require_positional(3);
  const Address server = resolve(arguments.text(0), arguments.number(1));
  const std::uint64_t count = arguments.number(2);
  raise_descriptor_limit(count + 64);

  std::vector<sluice::UniqueFd> connections;
  connections.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    sluice::UniqueFd fd = open_stream(server.family());
    if (::connect(fd.get(), server.get(), server.length) != 0) die("connect");
    // A stuck flow must fail the check, not hang it.
    const timeval timeout{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    if (arguments.has("--ping-first") && !ping(fd.get())) die("first ping");
    connections.push_back(std::move(fd));
  }
  std::printf("open %zu\n", connections.size());
  std::fflush(stdout);
  await_end_of_input();

  const std::size_t alive = count_alive(connections);
  std::printf("alive %zu of %zu\n", alive, connections.size());
  return alive == connections.size() ? 0 : 1;
}
