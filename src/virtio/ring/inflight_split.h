// What of a split queue is in flight, in memory that outlives us: after a crash, the next back-end
// finds there which chains were taken and not given back (the vhost-user document, "Inflight I/O
// tracking", QueueRegionSplit). The front-end holds the memory too, so that nothing in it is
// believed unchecked. Borrows the region.
//
//   | features 8 | version 2 | size 2 | head of the last batch 2 | used index 2 | states |
//   each state, by head:   | in flight 1 | padding 5 | next of the batch 2 | counter 8 |
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <vector>

#include "base/bytes.h"
#include "virtio/ring/ring_fault.h"

namespace sluice::virtio {

class InflightSplit {
 public:
  [[nodiscard]] static constexpr std::size_t region_size(std::size_t queue_size) {
    return kHeaderSize + kStateSize * queue_size;
  }

  // What is found in a region that was used before.
  struct Recovered {
    bool used_before = false;
    std::vector<std::uint16_t> heads{};  // In flight, in the order in which they were taken.
  };

  InflightSplit() = default;  // Keeps nothing.
  // A region that was never used is made ready. `used_index` is the used ring's.
  [[nodiscard]] static std::expected<InflightSplit, RingFault> open(MutableBytes region,
                                                                    std::size_t queue_size,
                                                                    std::uint16_t used_index,
                                                                    Recovered& recovered);

  void on_taken(std::uint16_t head);
  void on_put_back(std::uint16_t head);
  // Before the used index is published,
  void on_given(std::uint16_t head);
  // and behind it.
  void on_published(std::uint16_t used_index);

 private:
  static constexpr std::size_t kHeaderSize = 16;
  static constexpr std::size_t kStateSize = 16;

  explicit InflightSplit(MutableBytes region) : region_(region) {}
  [[nodiscard]] std::uint8_t* state(std::size_t head) const {
    return region_.data() + kHeaderSize + kStateSize * head;
  }
  void finish_last_batch(std::uint16_t used_index, std::size_t queue_size);

  MutableBytes region_;
  std::uint64_t counter_ = 0;
  std::vector<std::uint16_t> batch_;  // Given and not published.
};

}  // namespace sluice::virtio
