// By which of its receive queues a flow's frames go to a guest of several queue pairs: that of the
// pair by which the guest sent the flow last (virtio 1.2, 5.1.6.5.5, "automatic receive steering"),
// so that the processor that sends is the one that is interrupted. Frames without a flow (ARP,
// fragments, ICMP) and flows that the guest never sent go by the first pair.
//
// A table by hash, without keys: two flows that fall together share a pair, of which neither loses
// more than the right processor. Any thread may learn and ask at any time.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "wire/ip/flow_tuple.h"

namespace sluice::virtio {

class ReceiveSteering {
 public:
  static constexpr std::size_t kPairsMax = 64;
  static constexpr std::size_t kSlots = 4096;

  // A frame of the guest's came by `pair`, one of kPairsMax.
  void learn(ByteView frame, std::size_t pair);
  // Of a frame to the guest, whose headers suffice.
  [[nodiscard]] std::size_t pair_of(ByteView headers) const;
  // The same of a flow, as frames to the guest have it.
  [[nodiscard]] std::size_t pair_of(const wire::FlowTuple& flow) const;
  // The guest is another.
  void forget();

 private:
  std::array<std::atomic<std::uint8_t>, kSlots> pairs_{};
};

}  // namespace sluice::virtio
