// The first datagrams of a flow that is being decided about: kept, up to a bound, for the host that
// they may go to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"

namespace sluice::flow {

// One datagram, or a batch of `segment_size` bytes each.
struct UdpBatch {
  ByteView datagrams;
  std::uint16_t segment_size = 0;
};

class HeldDatagrams {
 public:
  // One datagram, or a batch of `segment_size` bytes each, as the guest sent it.
  struct Batch {
    std::vector<std::uint8_t> bytes;
    std::uint16_t segment_size = 0;
    std::uint8_t hop_limit = 64;
  };

  static constexpr std::size_t kBatchesMax = 8;
  static constexpr std::size_t kBytesMax = 128 * 1024;

  // False where there is no room: a datagram may be lost.
  [[nodiscard]] bool add(ByteView datagrams, std::uint16_t segment_size, std::uint8_t hop_limit) {
    if (batches_.size() == kBatchesMax || held_ + datagrams.size() > kBytesMax) return false;
    held_ += datagrams.size();
    batches_.push_back({{datagrams.begin(), datagrams.end()}, segment_size, hop_limit});
    return true;
  }
  [[nodiscard]] const std::vector<Batch>& batches() const { return batches_; }
  [[nodiscard]] std::size_t bytes() const { return held_; }
  void clear() {
    batches_.clear();
    held_ = 0;
  }

 private:
  std::vector<Batch> batches_;
  std::size_t held_ = 0;
};

}  // namespace sluice::flow
