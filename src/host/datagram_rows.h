// Receive buffers for a batch of datagrams, each with room for the largest, or for what the kernel
// has joined (UDP GRO). Shared by all sockets of a worker: none holds any. Memory is asked
// for at the first use, and its pages are touched only as far as datagrams reach.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "host/datagram.h"

namespace sluice::host {

class DatagramRows {
 public:
  static constexpr std::size_t kRowSize = 65'536;

  // `count` at most DatagramScratch::kBatch.
  explicit DatagramRows(std::size_t count) : count_(count) {}

  // To be filled by UdpSocket::receive().
  [[nodiscard]] std::span<IncomingDatagram> slots() {
    if (memory_ == nullptr) allocate();
    return slots_;
  }
  // The first row as room for a stream's bytes: kRowSize.
  [[nodiscard]] MutableBytes room() {
    if (memory_ == nullptr) allocate();
    return {memory_.get(), kRowSize};
  }
  [[nodiscard]] static ByteView bytes_of(const IncomingDatagram& slot) {
    return {static_cast<const std::uint8_t*>(slot.buffer.front().iov_base), slot.length};
  }

 private:
  // Rows that began at the same place of a page would compete for the same lines of the cache.
  static constexpr std::size_t kStride = kRowSize + 320;

  [[gnu::cold]] void allocate() {
    memory_ = std::make_unique_for_overwrite<std::uint8_t[]>(count_ * kStride);
    parts_.resize(count_);
    slots_.resize(count_);
    for (std::size_t i = 0; i < count_; ++i) {
      parts_[i] = {.iov_base = memory_.get() + i * kStride, .iov_len = kRowSize};
      slots_[i].buffer = std::span(parts_).subspan(i, 1);
    }
  }

  std::size_t count_;
  std::unique_ptr<std::uint8_t[]> memory_;
  std::vector<iovec> parts_;
  std::vector<IncomingDatagram> slots_;
};

}  // namespace sluice::host
