// Taking connections from the queue of a listening socket, of TCP or UNIX: which errors of
// accept(2) belong to one connection and which to the listener, and how many connections a turn
// takes. The same for published ports and for listeners of `sluice forward`. Not thread-safe.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>

#include "base/time.h"
#include "sys/kernel.h"
#include "sys/sys_error.h"
#include "wire/address.h"

namespace sluice::host {

// Where sys::is_exhaustion(error.error), what waits stays in the kernel's queue: who accepts stops
// watching all its listeners for so long, as each of them would report again at once.
inline constexpr Duration kAcceptPause = std::chrono::milliseconds{50};

struct Accepted {
  sys::KernelFd socket;                // Non-blocking, closed by exec.
  std::optional<wire::Endpoint> peer;  // None: a UNIX socket's client.
};

// accept(2): the error is of a connection that died in the queue, and another may wait behind it.
[[nodiscard]] bool is_lost_connection(int error);

// Nothing when no connection waits; those that died in the queue are skipped. Any error is the
// listener's, or the process's: this turn ends.
[[nodiscard]] std::expected<std::optional<Accepted>, sys::SysError> accept_from(
    const sys::KernelFd& listener);

// How many connections of one listener to accept in a turn. While they come one by one it is one:
// asking again only to hear EAGAIN is expensive when each lives for one request. It grows while
// more are waiting, and then others have their turn after kMax.
class AcceptShare {
 public:
  static constexpr std::uint32_t kMax = 64;

  [[nodiscard]] std::uint32_t most() const { return value_; }
  // So many were accepted in this turn, of most() at most.
  void took(std::uint32_t count);

 private:
  std::uint32_t value_ = 1;
};

}  // namespace sluice::host
