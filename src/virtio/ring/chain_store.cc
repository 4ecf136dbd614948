#include "virtio/ring/chain_store.h"

#include <algorithm>

namespace sluice::virtio {

ChainStore::ChainStore(const GuestMemory& memory, std::size_t queue_size)
    : memory_(memory), chain_max_(std::max(queue_size, kIndirectMax)), burst_pieces_(kChainsMax) {
  chains_.reserve(kChainsMax);
  readable_.reserve(burst_pieces_ + chain_max_);
  writable_.reserve(burst_pieces_ + chain_max_);
}

std::optional<RingFault> ChainStore::add_slowly(const Descriptor& descriptor) {
  const bool write = descriptor.is(Descriptor::kWrite);
  if (descriptor.length == 0) return RingFault::kZeroLength;
  if (!write && writable_bytes_ > 0) return RingFault::kReadableAfterWritable;
  if (total_bytes() + descriptor.length > UINT32_MAX) return RingFault::kTooManyBytes;
  std::uint64_t address = descriptor.address;
  std::uint64_t left = descriptor.length;
  while (left > 0) {
    // Regions that lie side by side for the guest may lie anywhere here.
    const MutableBytes piece = memory_.find(address, left);
    if (piece.empty()) return RingFault::kWildAddress;
    if (piece_count() >= chain_max_) return RingFault::kChainTooLong;
    push(piece, write);
    left -= piece.size();
    address += piece.size();
    if (address == 0 && left > 0) return RingFault::kWildAddress;
  }
  return std::nullopt;
}

std::expected<ByteView, RingFault> ChainStore::indirect_table(const Descriptor& descriptor) {
  if (descriptor.is(Descriptor::kNext)) return std::unexpected(RingFault::kIndirectWithNext);
  if (descriptor.length == 0 || descriptor.length % Descriptor::kSize != 0) {
    return std::unexpected(RingFault::kIndirectBadSize);
  }
  if (descriptor.length / Descriptor::kSize > chain_max_) {
    return std::unexpected(RingFault::kIndirectTooLong);
  }
  const MutableBytes table = memory_.find_whole(descriptor.address, descriptor.length);
  if (table.empty()) return std::unexpected(RingFault::kWildAddress);
  return table;
}

void ChainStore::finish(const Finished& of) {
  chains_.push_back({.id = of.id,
                     .slots = of.slots,
                     .record = of.record,
                     .readable_bytes = readable_bytes_,
                     .writable_bytes = writable_bytes_,
                     .readable = std::span(readable_).subspan(kept_readable_),
                     .writable = std::span(writable_).subspan(kept_writable_)});
  kept_readable_ = readable_.size();
  kept_writable_ = writable_.size();
}

void ChainStore::pop() {
  const Chain& newest = chains_.back();
  kept_readable_ -= newest.readable.size();
  kept_writable_ -= newest.writable.size();
  chains_.pop_back();
  cut_pieces();
}

void ChainStore::clear() {
  chains_.clear();
  kept_readable_ = 0;
  kept_writable_ = 0;
  cut_pieces();
}

}  // namespace sluice::virtio
