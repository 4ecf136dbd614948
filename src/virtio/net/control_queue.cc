#include "virtio/net/control_queue.h"

#include <algorithm>

namespace sluice::virtio {

std::expected<ControlQueue::Served, RingFault> ControlQueue::serve(const NetControlLimits& limits,
                                                                   NetControlState& state) {
  Served served;
  do {
    const auto taken = ring_.take(kBurst - served.commands);
    if (!taken) return std::unexpected(taken.error());
    for (const Chain& chain : *taken) {
      const ControlAnswer answer = run(chain, limits, state);
      if (!chain.writable.empty()) {
        chain.writable.front().front() = static_cast<std::uint8_t>(answer);
      }
      ring_.give(chain, chain.writable.empty() ? 0 : 1);
    }
    served.commands += taken->size();
    ring_.publish();
    served.call = ring_.needs_call() || served.call;
    if (taken->empty()) break;
  } while (served.commands < kBurst);
  served.more = ring_.enable_kicks();
  return served;
}

ControlAnswer ControlQueue::run(const Chain& chain, const NetControlLimits& limits,
                                NetControlState& state) {
  if (chain.readable_bytes > command_.size()) return ControlAnswer::kError;
  auto end = command_.begin();
  for (const ByteView piece : chain.readable) end = std::ranges::copy(piece, end).out;
  return on_control_command(ByteView(command_.begin(), end), limits, state);
}

}  // namespace sluice::virtio
