// The queue of an entropy device (virtio 1.2, 5.4): a driver gives buffers, and has them back with
// random bytes. Where these come from is its user's. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>

#include "base/bytes.h"
#include "virtio/ring/virtqueue.h"

namespace sluice::virtio {

// Fills the bytes, and tells how many it did; fewer than all: that was all there is for now.
using EntropySource = std::function<std::size_t(MutableBytes)>;

class EntropyQueue {
 public:
  static constexpr std::uint32_t kDeviceId = 4;
  static constexpr std::uint16_t kQueueSize = 8;
  // Of one buffer: the device may give fewer bytes than were asked for (5.4.6.1). Linux asks for a
  // cache line or a page.
  static constexpr std::size_t kChainMax = 4096;
  // Of one call, so that a guest which asks without end keeps nobody else waiting.
  static constexpr std::size_t kChainsMax = 8;

  [[nodiscard]] Virtqueue& ring() { return ring_; }

  struct Served {
    bool call = false;  // The driver wants to be told.
    bool more = false;  // No kick may come for what is there: serve again.
  };
  [[nodiscard]] std::expected<Served, RingFault> serve(const EntropySource& source);

 private:
  Virtqueue ring_;
};

}  // namespace sluice::virtio
