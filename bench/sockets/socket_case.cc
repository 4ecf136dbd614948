#include "sockets/socket_case.h"

#include <time.h>

#include "sockets/socket_peer.h"

namespace sluice::bench {
namespace {

[[nodiscard]] std::uint64_t nanoseconds(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

[[nodiscard]] bool run_once(const SocketCase& wanted, const SocketPeer& peer,
                            const Sockets& sockets, SocketResult& result) {
  switch (wanted.what) {
    case What::kTcpOut:
    case What::kUdpOut: return send_messages(wanted, sockets, result);
    case What::kTcpIn:
    case What::kUdpIn: return receive_messages(wanted, sockets, result);
    case What::kCycle: return make_cycles(wanted, peer.port(), result);
  }
  return false;
}

}  // namespace

std::expected<SocketResult, std::string> run_socket_case(const SocketCase& wanted) {
  const auto peer = SocketPeer::start(wanted);
  if (peer == nullptr) return std::unexpected("the other ends cannot be made");
  keep_to_processor(0);
  const Sockets sockets = wanted.what == What::kCycle ? Sockets() : peer->connect();
  if (wanted.what != What::kCycle && sockets.empty()) {
    return std::unexpected("the other ends cannot be reached");
  }
  SocketCase first = wanted;
  first.count = wanted.count / 8 + 1;
  SocketResult ignored;
  if (!run_once(first, *peer, sockets, ignored))
    return std::unexpected("this way is not to be had");
  SocketResult result;
  const std::uint64_t cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
  const std::uint64_t wall = nanoseconds(CLOCK_MONOTONIC);
  if (!run_once(wanted, *peer, sockets, result)) return std::unexpected("it ended on its way");
  result.cpu_ns = nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  result.wall_ns = nanoseconds(CLOCK_MONOTONIC) - wall;
  return result;
}

}  // namespace sluice::bench
