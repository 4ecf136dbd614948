// From addresses to the names that they are pinned to, four bytes a pin: 18 bits of the address's
// hash (its tag), and the index of the name. Many pins have the same tag, and it says nothing by
// itself: who asks looks whether the name has the address.
//
// Open addressing with linear probing and backward-shift deletion, so there are no tombstones. The
// home of an entry follows from its tag alone, and so the table grows without a look at the pins.
// One thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice::dns {

class PinIndex {
 public:
  static constexpr unsigned kTagBits = 18;
  static constexpr std::uint32_t kNameIndexMax = (1U << (32 - kTagBits)) - 2;

  explicit PinIndex(std::size_t entries_max)
      : capacity_max_(entries_max + entries_max / 4 + 2), entries_(kInitialCapacity, kEmpty) {}

  // `tag` has kTagBits, `name` is at most kNameIndexMax. Beyond entries_max nothing is inserted,
  // and the answer is false.
  [[nodiscard]] bool insert(std::uint32_t tag, std::uint32_t name) {
    if (is_full()) {
      if (entries_.size() >= capacity_max_) return false;
      grow();
    }
    place(entry_of(tag, name));
    ++size_;
    return true;
  }

  // One of the entries of this tag and name; what is not there changes nothing.
  void erase(std::uint32_t tag, std::uint32_t name) {
    const std::uint32_t wanted = entry_of(tag, name);
    for (std::size_t at = home(tag); entries_[at] != kEmpty; at = after(at)) {
      if (entries_[at] != wanted) continue;
      close_gap(at);
      --size_;
      return;
    }
  }

  // Calls `visit(name)` for each entry of the tag, until it says false.
  template <typename Visitor>
  void visit(std::uint32_t tag, Visitor&& visit) const {
    for (std::size_t at = home(tag); entries_[at] != kEmpty; at = after(at)) {
      if (entries_[at] >> kNameBits == tag && !visit(entries_[at] & kNameMask)) return;
    }
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  // How many bytes more the next insert() takes.
  [[nodiscard]] std::size_t growth() const {
    return is_full() ? (larger() - entries_.size()) * sizeof(entries_[0]) : 0;
  }
  [[nodiscard]] std::size_t bytes_held() const { return entries_.capacity() * sizeof(entries_[0]); }

 private:
  static constexpr unsigned kNameBits = 32 - kTagBits;
  static constexpr std::uint32_t kNameMask = (1U << kNameBits) - 1;
  static constexpr std::uint32_t kEmpty = 0xffff'ffff;
  static constexpr std::size_t kInitialCapacity = 256;

  [[nodiscard]] static std::uint32_t entry_of(std::uint32_t tag, std::uint32_t name) {
    return tag << kNameBits | name;
  }
  [[nodiscard]] std::size_t home(std::uint32_t tag) const {
    return static_cast<std::size_t>((std::uint64_t{tag} * entries_.size()) >> kTagBits);
  }
  [[nodiscard]] std::size_t after(std::size_t at) const {
    return at + 1 == entries_.size() ? 0 : at + 1;
  }
  // How far `at` is behind `from`.
  [[nodiscard]] std::size_t distance(std::size_t from, std::size_t at) const {
    return at >= from ? at - from : at + entries_.size() - from;
  }
  [[nodiscard]] bool is_full() const { return (size_ + 1) * 5 > entries_.size() * 4; }
  [[nodiscard]] std::size_t larger() const {
    return std::max(entries_.size(), std::min(entries_.size() * 2, capacity_max_));
  }
  void place(std::uint32_t entry) {
    std::size_t at = home(entry >> kNameBits);
    while (entries_[at] != kEmpty) at = after(at);
    entries_[at] = entry;
  }
  // Moves later entries of the same run back, unless that would put one before its home.
  void close_gap(std::size_t gap) {
    for (std::size_t at = after(gap); entries_[at] != kEmpty; at = after(at)) {
      if (distance(home(entries_[at] >> kNameBits), at) >= distance(gap, at)) {
        entries_[gap] = entries_[at];
        gap = at;
      }
    }
    entries_[gap] = kEmpty;
  }
  [[gnu::cold]] void grow() {
    std::vector<std::uint32_t> old(larger(), kEmpty);
    old.swap(entries_);
    for (const std::uint32_t entry : old) {
      if (entry != kEmpty) place(entry);
    }
  }

  std::size_t capacity_max_;
  std::vector<std::uint32_t> entries_;
  std::size_t size_ = 0;
};

}  // namespace sluice::dns
