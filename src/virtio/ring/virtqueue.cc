#include "virtio/ring/virtqueue.h"

#include <utility>

namespace sluice::virtio {

// A std::visit with the common case first, and nothing for a queue that is not started.
template <typename Ring, typename Function>
static void with_ring(Ring& ring, const Function& function) {
  if (auto* const split = std::get_if<SplitRing>(&ring)) {
    function(*split);
  } else if (auto* const packed = std::get_if<PackedRing>(&ring)) {
    function(*packed);
  }
}

std::expected<void, RingFault> Virtqueue::start(const GuestMemory& memory,
                                                const QueueConfig& config) {
  stop();
  fault_.reset();
  if (config.features.packed) {
    auto ring = PackedRing::make(memory, config);
    if (!ring) return std::unexpected(ring.error());
    ring_ = std::move(*ring);
  } else {
    auto ring = SplitRing::make(memory, config);
    if (!ring) return std::unexpected(ring.error());
    ring_ = std::move(*ring);
  }
  return {};
}

std::expected<std::span<const Chain>, RingFault> Virtqueue::take(std::size_t chains_max) {
  if (fault_) return std::unexpected(*fault_);
  std::expected<std::span<const Chain>, RingFault> taken = std::unexpected(RingFault::kNotStarted);
  with_ring(ring_, [&](auto& ring) {
    taken = ring.take(chains_max);
    if (!taken) fault_ = taken.error();
  });
  return taken;
}

std::span<const Chain> Virtqueue::held() const {
  std::span<const Chain> held;
  with_ring(ring_, [&](const auto& ring) { held = ring.held(); });
  return held;
}

void Virtqueue::put_back(std::size_t count) {
  with_ring(ring_, [&](auto& ring) { ring.put_back(count); });
}

void Virtqueue::give(const Chain& chain, std::uint32_t written) {
  if (fault_) return;
  with_ring(ring_, [&](auto& ring) { ring.give(chain, written); });
}

void Virtqueue::publish() {
  if (fault_) return;
  with_ring(ring_, [](auto& ring) { ring.publish(); });
}

bool Virtqueue::needs_call() {
  bool needed = false;
  if (!fault_) with_ring(ring_, [&](auto& ring) { needed = ring.needs_call(); });
  return needed;
}

bool Virtqueue::enable_kicks() {
  bool more = false;
  if (!fault_) with_ring(ring_, [&](auto& ring) { more = ring.enable_kicks(); });
  return more;
}

void Virtqueue::disable_kicks() {
  if (!fault_) with_ring(ring_, [](auto& ring) { ring.disable_kicks(); });
}

std::uint32_t Virtqueue::base() const {
  std::uint32_t base = 0;
  with_ring(ring_, [&](const auto& ring) { base = ring.base(); });
  return base;
}

std::size_t Virtqueue::outstanding() const {
  std::size_t outstanding = 0;
  with_ring(ring_, [&](const auto& ring) { outstanding = ring.outstanding(); });
  return outstanding;
}

}  // namespace sluice::virtio
