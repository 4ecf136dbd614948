// One measurement of bench/sockets: which way bytes go between sockets of the host and memory of
// ours, and what that costs this process. The other ends are a process of their own.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace sluice::bench {

enum class What : std::uint8_t {
  kTcpOut,
  kTcpIn,
  kUdpOut,
  kUdpIn,
  kCycle,  // Connect, ask, be answered, close.
};

enum class Way : std::uint8_t {
  kCalls,      // As the engine does it: sendmsg, and recvmsg that looks before it discards.
  kRing,       // The same by io_uring, of all sockets in one call.
  kConsuming,  // io_uring takes what comes into buffers of its own, which the engine would keep.
  kZeroCopy,   // MSG_ZEROCOPY, and the notice that the pages are free.
  kPages,      // vmsplice and splice: the pages themselves, without such a notice.
};

struct SocketCase {
  What what = What::kTcpOut;
  Way way = Way::kCalls;
  std::uint64_t peers = 1;
  std::uint64_t size = 1400;     // Of a message.
  std::uint64_t count = 10'000;  // Messages or cycles, of all peers together.
};

struct SocketResult {
  std::uint64_t cpu_ns = 0;  // Of this process, with whatever threads the kernel gave it.
  std::uint64_t wall_ns = 0;
  std::uint64_t bytes = 0;
  std::uint64_t count = 0;  // Messages or cycles that were done.
  std::uint64_t calls = 0;  // System calls.
};

// This process's sockets, one for each peer: connected, and never blocking.
using Sockets = std::vector<UniqueFd>;

// An eighth of the messages more is moved before it counts. The error is a sentence's beginning.
[[nodiscard]] std::expected<SocketResult, std::string> run_socket_case(const SocketCase& wanted);

// Each adds to the result what it moved, and how many calls that took.
[[nodiscard]] bool send_messages(const SocketCase& wanted, const Sockets& sockets,
                                 SocketResult& result);
[[nodiscard]] bool receive_messages(const SocketCase& wanted, const Sockets& sockets,
                                    SocketResult& result);
[[nodiscard]] bool make_cycles(const SocketCase& wanted, std::uint16_t port, SocketResult& result);

}  // namespace sluice::bench
