// The chains of a burst and their pieces, as both ring formats build them: what a descriptor says
// is checked and translated here. Takes its memory once, so that pieces stay where they are and no
// chain allocates; a chain that does not fit waits for the next burst.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <vector>

#include "virtio/guest_memory.h"
#include "virtio/ring/chain.h"
#include "virtio/ring/descriptor.h"
#include "virtio/ring/ring_fault.h"

namespace sluice::virtio {

class ChainStore {
 public:
  // Chains that a burst holds at most: 64 KiB in buffers of one page or of 1,500 bytes need fewer.
  static constexpr std::size_t kChainsMax = 1024;
  // Linux makes indirect tables that are longer than a small queue.
  static constexpr std::size_t kIndirectMax = 1024;

  ChainStore(const GuestMemory& memory, std::size_t queue_size);

  // Whether one more chain fits, however long it is.
  [[nodiscard]] bool has_room() const {
    return chains_.size() < kChainsMax && readable_.size() <= burst_pieces_ &&
           writable_.size() <= burst_pieces_;
  }

  // A chain is begun, gets its descriptors in order, and is finished; one that has a fault is left
  // as it is, and begin() forgets it.
  void begin() {
    cut_pieces();
    readable_bytes_ = 0;
    writable_bytes_ = 0;
  }
  [[nodiscard]] std::optional<RingFault> add(const Descriptor& descriptor) {
    const bool write = descriptor.is(Descriptor::kWrite);
    const MutableBytes found = memory_.find(descriptor.address, descriptor.length);
    const std::uint32_t length = descriptor.length;
    if (length == 0 || found.size() != length || piece_count() >= chain_max_ ||
        (!write && writable_bytes_ > 0) || total_bytes() + length > UINT32_MAX) [[unlikely]] {
      return add_slowly(descriptor);
    }
    push(found, write);
    return std::nullopt;
  }
  // The table that an indirect descriptor tells of.
  [[nodiscard]] std::expected<ByteView, RingFault> indirect_table(const Descriptor& descriptor);
  // What a chain is called by its ring, as struct Chain has it.
  struct Finished {
    std::uint16_t id = 0;
    std::uint16_t slots = 1;
    std::uint16_t record = 0;
  };
  void finish(const Finished& of);

  [[nodiscard]] std::span<const Chain> chains() const { return chains_; }
  void pop();
  void clear();

 private:
  [[nodiscard]] std::size_t piece_count() const {
    return readable_.size() - kept_readable_ + writable_.size() - kept_writable_;
  }
  [[nodiscard]] std::uint64_t total_bytes() const {
    return std::uint64_t{readable_bytes_} + writable_bytes_;
  }
  void push(MutableBytes piece, bool write) {
    const auto length = static_cast<std::uint32_t>(piece.size());
    if (write) {
      writable_.push_back(piece);
      writable_bytes_ += length;
    } else {
      readable_.push_back(piece);
      readable_bytes_ += length;
    }
  }
  // Pieces behind those of finished chains.
  void cut_pieces() {
    readable_.resize(kept_readable_);
    writable_.resize(kept_writable_);
  }
  // Finds the fault, or the pieces of a range over several regions.
  [[nodiscard, gnu::cold]] std::optional<RingFault> add_slowly(const Descriptor& descriptor);

  MemoryFinder memory_;
  std::size_t chain_max_;     // Pieces of one chain.
  std::size_t burst_pieces_;  // Above it, of either kind, no further chain is begun.
  std::vector<Chain> chains_;
  std::vector<ByteView> readable_;
  std::vector<MutableBytes> writable_;
  std::size_t kept_readable_ = 0;  // Of chains that are finished.
  std::size_t kept_writable_ = 0;
  std::uint32_t readable_bytes_ = 0;  // Of the one that is not.
  std::uint32_t writable_bytes_ = 0;
};

}  // namespace sluice::virtio
