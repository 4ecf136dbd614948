// A small sorted set of sequence ranges: what arrived ahead of a gap, or what a peer has SACKed.
//
// Bounded: a peer that makes more holes than fit gets its oldest knowledge kept and the rest
// refused. All ranges lie within one window, so serial comparison is a total order here.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "wire/transport/tcp_options.h"

namespace sluice::flow {

class RangeSet {
 public:
  static constexpr std::size_t kCapacity = 32;

  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::span<const wire::SackBlock> ranges() const {
    return std::span(ranges_).first(count_);
  }

  // Joins what touches. False when a new range would not fit.
  bool insert(wire::SackBlock added) {
    std::size_t first = 0;
    while (first < count_ && ranges_[first].right < added.left) ++first;
    std::size_t last = first;  // [first, last) touch `added`.
    while (last < count_ && ranges_[last].left <= added.right) {
      if (ranges_[last].left < added.left) added.left = ranges_[last].left;
      if (ranges_[last].right > added.right) added.right = ranges_[last].right;
      ++last;
    }
    if (first == last) {
      if (count_ == kCapacity) return false;
      for (std::size_t i = count_; i > first; --i) ranges_[i] = ranges_[i - 1];
      ++count_;
    } else {
      for (std::size_t i = last; i < count_; ++i) ranges_[first + 1 + (i - last)] = ranges_[i];
      count_ -= last - first - 1;
    }
    ranges_[first] = added;
    return true;
  }

  // Forgets everything before `edge`.
  void trim(wire::SeqNum edge) {
    std::size_t gone = 0;
    while (gone < count_ && ranges_[gone].right <= edge) ++gone;
    for (std::size_t i = gone; i < count_; ++i) ranges_[i - gone] = ranges_[i];
    count_ -= gone;
    if (count_ > 0 && ranges_[0].left < edge) ranges_[0].left = edge;
  }

  // The end of the range that contains `at` or begins there; `at` itself when there is none.
  [[nodiscard]] wire::SeqNum end_of_range_at(wire::SeqNum at) const {
    for (const wire::SackBlock& range : ranges()) {
      if (range.left <= at && at < range.right) return range.right;
    }
    return at;
  }

  void clear() { count_ = 0; }

 private:
  std::array<wire::SackBlock, kCapacity> ranges_{};
  std::size_t count_ = 0;
};

}  // namespace sluice::flow
