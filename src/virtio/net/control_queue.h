// The control queue: takes commands, and writes the byte of each answer. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <expected>

#include "virtio/net/net_control.h"
#include "virtio/ring/virtqueue.h"

namespace sluice::virtio {

class ControlQueue {
 public:
  // A MAC table of 1,024 addresses, more than Linux makes.
  static constexpr std::size_t kCommandMax = 8192;

  [[nodiscard]] Virtqueue& ring() { return ring_; }

  struct Served {
    std::size_t commands = 0;
    bool call = false;  // The driver wants to be told.
    bool more = false;  // No kick may come for what is there: serve again.
  };
  // Answers what is there, up to a burst, and has the driver kick for what comes later.
  [[nodiscard]] std::expected<Served, RingFault> serve(const NetControlLimits& limits,
                                                       NetControlState& state);

 private:
  static constexpr std::size_t kBurst = 64;

  [[nodiscard]] ControlAnswer run(const Chain& chain, const NetControlLimits& limits,
                                  NetControlState& state);

  Virtqueue ring_;
  std::array<std::uint8_t, kCommandMax> command_{};
};

}  // namespace sluice::virtio
