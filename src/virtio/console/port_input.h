// What a guest reads from a port of its console: bytes of a stream, put into the buffers that the
// guest made available. Where it has none, nothing is read from the stream's source. Not
// thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <expected>
#include <span>

#include "base/bytes.h"
#include "virtio/ring/virtqueue.h"

namespace sluice::virtio {

class PortInput {
 public:
  static constexpr std::size_t kChainsMax = 16;
  static constexpr std::size_t kPiecesMax = 64;

  // Started by the console.
  [[nodiscard]] Virtqueue& ring() { return ring_; }
  void stop() { ring_.stop(); }

  // Where bytes may be put, in their order; nowhere: the driver kicks once it has room. Valid until
  // fill(), which must follow, or stop().
  [[nodiscard]] std::expected<std::span<const MutableBytes>, RingFault> room();
  // So many bytes of it were filled, from its beginning on. True when the driver wants to be told.
  [[nodiscard]] bool fill(std::size_t bytes);

 private:
  [[nodiscard]] std::expected<std::span<const MutableBytes>, RingFault> list_pieces();

  Virtqueue ring_;
  std::array<MutableBytes, kPiecesMax> pieces_{};
};

}  // namespace sluice::virtio
