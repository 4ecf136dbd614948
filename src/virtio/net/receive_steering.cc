#include "virtio/net/receive_steering.h"

#include "base/hash.h"

namespace sluice::virtio {
namespace {

// No secret: whoever makes two flows fall together moves frames between the queues of one guest.
[[nodiscard]] std::size_t slot_of(const wire::FlowTuple& from_guest) {
  return from_guest.hash(HashSecret{}) % ReceiveSteering::kSlots;
}

}  // namespace

void ReceiveSteering::learn(ByteView frame, std::size_t pair) {
  const auto flow = wire::flow_of_frame(frame);
  if (!flow) return;
  std::atomic<std::uint8_t>& place = pairs_[slot_of(*flow)];
  const auto number = static_cast<std::uint8_t>(pair);
  // A line of the cache that all threads read is written where something changes only.
  if (place.load(std::memory_order_relaxed) != number) {
    place.store(number, std::memory_order_relaxed);
  }
}

std::size_t ReceiveSteering::pair_of(ByteView headers) const {
  const auto flow = wire::flow_of_frame(headers);
  return flow ? pair_of(*flow) : 0;
}

std::size_t ReceiveSteering::pair_of(const wire::FlowTuple& flow) const {
  return pairs_[slot_of(flow.reversed())].load(std::memory_order_relaxed);
}

void ReceiveSteering::forget() {
  for (auto& place : pairs_) place.store(0, std::memory_order_relaxed);
}

}  // namespace sluice::virtio
