// RSTs of the guest's for connections that its kernel carries. They come by the tap, and what the
// guest sent before may still be on its way over its loopback: a RST that is put there too early
// makes a socket forget bytes that are about to arrive. So each waits until its socket has what
// stands before it.
//
// What the guest's kernel dropped for want of room is never sent again, so nobody waits long. The
// kernel then asks the guest (RFC 5961, 3.2), and the answer comes here as well. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "driver/io/rechecks.h"
#include "flow/core/action.h"
#include "wire/seq_num.h"

namespace sluice::driver {

class HeldResets {
 public:
  struct Reset {
    flow::TcpId flow;
    wire::SeqNum sequence;
    std::vector<std::uint8_t> packet;  // The whole IP packet.
  };
  // Whether the flow's socket has received all that stands before this sequence number.
  using HasAll = std::function<bool(flow::TcpId, wire::SeqNum)>;

  // False when there is no room for more; `reset` is as it was then.
  [[nodiscard]] bool add(Reset&& reset, Instant now);
  [[nodiscard]] Instant next_wakeup() const { return waiting_.next_wakeup(); }
  // Takes those out that need not wait any longer.
  [[nodiscard]] std::vector<Reset> take_due(Instant now, const HasAll& has_all);

 private:
  struct Waiting {
    Reset reset;
    Instant until{};
  };
  static constexpr Duration kPauseFirst = std::chrono::milliseconds(1);
  static constexpr Duration kPauseMax = std::chrono::milliseconds(32);

  Rechecks<Waiting> waiting_{kPauseFirst, kPauseMax};
};

}  // namespace sluice::driver
