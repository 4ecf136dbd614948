// What of a packed queue is in flight, in memory that outlives us (the vhost-user document,
// "Inflight I/O tracking", QueueRegionPacked). A used descriptor may overwrite one that is in
// flight, so that the region has a copy of each: a chain is a list of records, and free records
// are another. The front-end holds the memory too, so that nothing in it is believed unchecked,
// and once it is open it is only written. Borrows the region.
//
//   | features 8 | version 2 | size 2 | free 2 | old free 2 | used 2 | old used 2 |
//   | used wrap 1 | old used wrap 1 | padding 7, and 3 that align | records |
//   each record:   | in flight 1 | padding 1 | next 2 | last 2 | number 2 | counter 8 |
//                  | id 2 | flags 2 | length 4 | address 8 |
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "virtio/ring/descriptor.h"
#include "virtio/ring/packed_position.h"
#include "virtio/ring/ring_fault.h"

namespace sluice::virtio {

class InflightPacked {
 public:
  [[nodiscard]] static constexpr std::size_t region_size(std::size_t queue_size) {
    return kHeaderSize + kRecordSize * queue_size;
  }

  // What is found in a region that was used before.
  struct Recovered {
    bool used_before = false;
    PackedPosition used;                   // What the driver was told.
    std::vector<std::uint16_t> records{};  // First ones of the chains in flight, as once taken.
    std::uint32_t slots = 0;               // Of all these chains.
  };
  // The descriptors are the ring's: whether the last batch was seen by the driver shows there.
  [[nodiscard]] static std::expected<InflightPacked, RingFault> open(
      MutableBytes region, std::size_t queue_size, const std::uint8_t* descriptors,
      Recovered& recovered);

  InflightPacked() = default;  // Keeps nothing.

  // The descriptors of a chain, in order; then keep() has its record.
  void begin() { noted_.clear(); }
  void note(const Descriptor& descriptor) {
    if (!region_.empty()) noted_.push_back(descriptor);
  }
  [[nodiscard]] std::uint16_t keep();
  void on_put_back(std::uint16_t record);
  void on_given(std::uint16_t record);
  // Around the store by which the driver sees what was given.
  void on_publishing(PackedPosition used);
  void on_published(PackedPosition used);

  // The descriptors of a chain that was found.
  [[nodiscard]] std::span<const Descriptor> chain(std::uint16_t record);

 private:
  static constexpr std::size_t kHeaderSize = 32;
  static constexpr std::size_t kRecordSize = 32;

  // What the region says of a record, but that nobody else writes it.
  struct Record {
    std::uint16_t next = 0;  // Of the chain, or of the free ones; as large as the queue: none.
    std::uint16_t last = 0;  // Of a chain's first record, as is the next.
    std::uint16_t count = 0;
    Descriptor descriptor;
  };

  [[nodiscard]] std::uint8_t* place(std::size_t record) const {
    return region_.data() + kHeaderSize + kRecordSize * record;
  }
  void make_ready(std::uint16_t queue_size, PackedPosition used);
  // Whether the driver saw the last batch; what it saw of it becomes what is told.
  [[nodiscard]] bool settle_last_batch(const std::uint8_t* descriptors, PackedPosition& used);
  [[nodiscard]] bool read_chains(Recovered& recovered);
  [[nodiscard]] bool read_chain(std::uint16_t first, std::vector<bool>& taken);
  void set_in_flight(std::uint16_t record, bool in_flight);
  void link_free(std::uint16_t first);
  void store_free(std::size_t at);

  MutableBytes region_;
  std::vector<Record> records_;
  std::uint16_t free_ = 0;
  std::uint64_t counter_ = 0;
  std::vector<Descriptor> noted_;
  std::vector<std::uint16_t> batch_;  // Given and not published.
};

}  // namespace sluice::virtio
