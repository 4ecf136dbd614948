// What a guest writes into a port of its console: bytes of a stream, taken out of the guest's own
// buffers. A buffer is the guest's again once all of it was taken, and not before: what cannot be
// passed on is held up in the guest, as by a pipe, and never copied or gathered here. Not
// thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <expected>
#include <span>

#include "base/bytes.h"
#include "virtio/ring/virtqueue.h"

namespace sluice::virtio {

class PortOutput {
 public:
  static constexpr std::size_t kChainsMax = 16;
  static constexpr std::size_t kPiecesMax = 64;

  // Started by the console.
  [[nodiscard]] Virtqueue& ring() { return ring_; }
  void stop() {
    ring_.stop();
    taken_ = 0;
  }

  // Bytes that wait, in their order, as far as a look at the queue goes; none: the driver kicks for
  // the next. Valid until take(), which must follow, or stop(). A queue that is stopped has none.
  [[nodiscard]] std::expected<std::span<const ByteView>, RingFault> waiting();
  // The first `bytes` of what waiting() told are taken. True when the driver wants to be told.
  [[nodiscard]] bool take(std::size_t bytes);

 private:
  [[nodiscard]] std::expected<std::span<const ByteView>, RingFault> list_pieces();

  Virtqueue ring_;
  std::size_t taken_ = 0;  // Of the next chain, by an earlier take().
  std::array<ByteView, kPiecesMax> pieces_{};
};

}  // namespace sluice::virtio
