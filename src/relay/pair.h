// Two connected stream sockets joined: what one receives, the other sends.
//
// Sans-loop: the owner waits with epoll (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET on each side,
// set once and never changed), tells what came with note(), and calls pump() until it says that
// there is nothing to do. Between calls an idle pair holds no buffer and no pipe.
//
// Promises: every byte that was received is sent, in order, once. A FIN is passed on when all bytes
// before it are (shutdown of the writing side), each way by itself. A RST is passed on as a RST,
// after the bytes that came before it, as far as the other side takes them in time. A side that
// takes nothing holds the other back (the kernel's buffers and at most one of ours fill up).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/time.h"
#include "host/tcp_socket.h"
#include "policy/token_bucket.h"
#include "relay/pools.h"

namespace sluice::relay {

enum class Side : std::uint8_t { kClient, kTarget };

// What one direction may carry. Null: as much as it likes. Not owned; outlive the pair.
struct Throttle {
  policy::TokenBucket* rule = nullptr;
  policy::TokenBucket* client = nullptr;
};

struct PairOptions {
  Mode mode = Mode::kAuto;
  Throttle to_target;
  Throttle to_client;
  // Bytes for the target before anything the client sends: a PROXY header, and what was read
  // behind the client's. Copied.
  ByteView head_to_target;
};

enum class PairStatus : std::uint8_t {
  kWaiting,  // Nothing to do before the next event.
  kMore,     // This turn's share is used up: call pump() again after others had theirs.
  kLater,    // Nothing to do before the next event or resume_at(), whichever is first.
  kEnded,    // Both sockets are closed or reset; see end().
};

// How a pair ended.
enum class PairEnd : std::uint8_t {
  kClientClosed,  // Both FINs were seen; the client's came first.
  kTargetClosed,  // Both FINs were seen; the target's came first.
  kClientReset,   // By a RST or another error of that side.
  kTargetReset,
  kStopped,  // stop() was called.
};

class Pair {
 public:
  Pair() = default;
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  // Both connected, non-blocking; of TCP or AF_UNIX. Assumes both readable and writable until the
  // kernel says otherwise, so the first pump() may follow at once.
  void start(host::TcpSocket client, host::TcpSocket target, const PairOptions& options,
             Pools& pools);

  // Events of one side as epoll gave them.
  void note(Side side, std::uint32_t events);

  // Moves what can be moved now, up to a share each way.
  [[nodiscard]] PairStatus pump(Pools& pools, Instant now);
  [[nodiscard]] Instant resume_at() const;  // After kLater.

  // Ends it at once: closed in the ordinary way, or with a RST to both sides. Gives everything
  // back to the pools.
  void stop(Pools& pools, bool with_reset);

  [[nodiscard]] std::uint64_t bytes_to_target() const;  // Taken by the target's socket.
  [[nodiscard]] std::uint64_t bytes_to_client() const;
  // One direction has ended and the other has not.
  [[nodiscard]] bool half_closed() const;
  [[nodiscard]] PairEnd end() const;  // After kEnded or stop().
  [[nodiscard]] int error() const;    // errno behind kClientReset and kTargetReset.
};

}  // namespace sluice::relay
