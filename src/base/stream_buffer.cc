#include "base/stream_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace sluice {

std::unique_ptr<std::uint8_t[]> BlockPool::take() {
  if (taken_ == blocks_max_) return nullptr;
  ++taken_;
  if (kept_.empty()) return std::make_unique_for_overwrite<std::uint8_t[]>(kBlockSize);
  std::unique_ptr<std::uint8_t[]> block = std::move(kept_.back());
  kept_.pop_back();
  return block;
}

void BlockPool::give_back(std::unique_ptr<std::uint8_t[]> block) {
  --taken_;
  if (kept_.size() < kKept) kept_.push_back(std::move(block));
}

std::size_t StreamBuffer::insert(std::uint64_t offset, ByteView bytes) {
  constexpr std::size_t kBlock = BlockPool::kBlockSize;
  std::size_t done = 0;
  while (done < bytes.size()) {
    const std::uint64_t number = (offset + done) / kBlock;
    const std::size_t within = (offset + done) % kBlock;
    if (blocks_.empty()) first_block_ = number;
    if (number < first_block_) {
      const auto added = static_cast<std::ptrdiff_t>(first_block_ - number);
      blocks_.resize(blocks_.size() + static_cast<std::size_t>(added));
      std::rotate(blocks_.begin(), blocks_.end() - added, blocks_.end());
      first_block_ = number;
    }
    const auto at = static_cast<std::size_t>(number - first_block_);
    if (at >= blocks_.size()) blocks_.resize(at + 1);
    if (blocks_[at] == nullptr) {
      blocks_[at] = pool_->take();
      if (blocks_[at] == nullptr) break;
    }
    const std::size_t count = std::min(kBlock - within, bytes.size() - done);
    std::memcpy(blocks_[at].get() + within, bytes.data() + done, count);
    done += count;
  }
  if (done > 0) note_present({offset, offset + done});
  return done;
}

void StreamBuffer::note_present(Range added) {
  if (!present_.empty() && present_.back().end == added.begin) [[likely]] {
    present_.back().end = added.end;
    return;
  }
  const auto first = std::ranges::lower_bound(present_, added.begin, {}, &Range::end);
  auto last = first;  // [first, last) touch `added`.
  for (; last != present_.end() && last->begin <= added.end; ++last) {
    added.begin = std::min(added.begin, last->begin);
    added.end = std::max(added.end, last->end);
  }
  present_.insert(present_.erase(first, last), added);
}

std::uint64_t StreamBuffer::present_until(std::uint64_t from) const {
  const auto range = std::ranges::upper_bound(present_, from, {}, &Range::end);
  return range != present_.end() && range->begin <= from ? range->end : from;
}

std::size_t StreamBuffer::pieces(std::uint64_t from, std::uint64_t until,
                                 std::span<ByteView> out) const {
  constexpr std::size_t kBlock = BlockPool::kBlockSize;
  std::size_t count = 0;
  until = std::min(until, present_until(from));
  while (from < until && count < out.size()) {
    const std::size_t within = from % kBlock;
    const auto at = static_cast<std::size_t>(from / kBlock - first_block_);
    const std::size_t length = std::min<std::uint64_t>(kBlock - within, until - from);
    out[count++] = ByteView(blocks_[at].get() + within, length);
    from += length;
  }
  return count;
}

void StreamBuffer::release_before(std::uint64_t offset) {
  const auto kept = std::ranges::upper_bound(present_, offset, {}, &Range::end);
  present_.erase(present_.begin(), kept);
  if (present_.empty()) {
    clear();
    return;
  }
  present_.front().begin = std::max(present_.front().begin, offset);
  const std::uint64_t number = offset / BlockPool::kBlockSize;
  if (number <= first_block_) return;
  const auto gone =
      static_cast<std::size_t>(std::min<std::uint64_t>(number - first_block_, blocks_.size()));
  for (std::size_t i = 0; i < gone; ++i) {
    if (blocks_[i] != nullptr) pool_->give_back(std::move(blocks_[i]));
  }
  blocks_.erase(blocks_.begin(), blocks_.begin() + static_cast<std::ptrdiff_t>(gone));
  first_block_ += gone;
}

void StreamBuffer::clear() {
  for (std::unique_ptr<std::uint8_t[]>& block : blocks_) {
    if (block != nullptr) pool_->give_back(std::move(block));
  }
  blocks_.clear();
  present_.clear();
}

}  // namespace sluice
