// From a key to the place of what it names in a slab: flows by their FlowKey, sessions by their
// client's endpoint.
//
// Open addressing with linear probing and backward-shift deletion, so there are no tombstones and
// a table that churns stays as fast as a new one. An entry is eight bytes (32 bits of the hash and
// the slab's index); the key itself stays in the slab, at what is about to be touched anyway.
// docs/adr/0003-flow-table.md has the figures that chose it over a library's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice {

// `Key` has operator== and `hash(const Secret&)`, of which the low 32 bits are used. Keys are
// chosen by others; without the secret they cannot prepare collisions. `kInitialCapacity` is a
// power of two.
template <typename Key, typename Secret, std::size_t kInitialCapacity>
class IndexTable {
  static_assert((kInitialCapacity & (kInitialCapacity - 1)) == 0 && kInitialCapacity > 1);

 public:
  static constexpr std::uint32_t kNone = 0xffff'ffff;

  explicit IndexTable(const Secret& secret) : secret_(secret), entries_(kInitialCapacity) {}

  // `key_at(index)` gives the key of what is at that place of the slab.
  // Inline wherever it is called: each packet begins with it.
  template <typename KeyAt>
  [[nodiscard, gnu::always_inline]] std::uint32_t find(const Key& key, const KeyAt& key_at) const {
    const std::uint32_t hash = hash_of(key);
    for (std::size_t at = hash & mask();; at = (at + 1) & mask()) {
      const Entry& entry = entries_[at];
      if (entry.index == kNone) return kNone;
      if (entry.hash == hash && key_at(entry.index) == key) return entry.index;
    }
  }

  // The key must not be in the table.
  void insert(const Key& key, std::uint32_t index) {
    if ((size_ + 1) * 4 > entries_.size() * 3) resize(entries_.size() * 2);
    place(Entry{hash_of(key), index});
    ++size_;
  }

  // What is not there changes nothing.
  void erase(const Key& key, std::uint32_t index) {
    std::size_t at = hash_of(key) & mask();
    while (entries_[at].index != index) {
      if (entries_[at].index == kNone) return;
      at = (at + 1) & mask();
    }
    close_gap(at);
    --size_;
  }

  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  struct Entry {
    std::uint32_t hash = 0;
    std::uint32_t index = kNone;
  };

  [[nodiscard]] std::uint32_t hash_of(const Key& key) const {
    return static_cast<std::uint32_t>(key.hash(secret_));
  }

  [[nodiscard]] std::size_t mask() const { return entries_.size() - 1; }

  void place(Entry entry) {
    std::size_t at = entry.hash & mask();
    while (entries_[at].index != kNone) at = (at + 1) & mask();
    entries_[at] = entry;
  }

  // Moves later entries of the same run back, unless that would put one before its home.
  void close_gap(std::size_t gap) {
    for (std::size_t at = (gap + 1) & mask(); entries_[at].index != kNone; at = (at + 1) & mask()) {
      const std::size_t home = entries_[at].hash & mask();
      if (((at - home) & mask()) >= ((at - gap) & mask())) {
        entries_[gap] = entries_[at];
        gap = at;
      }
    }
    entries_[gap] = Entry{};
  }

  [[gnu::cold]] void resize(std::size_t capacity) {
    std::vector<Entry> old(capacity);
    old.swap(entries_);
    for (const Entry& entry : old) {
      if (entry.index != kNone) place(entry);
    }
  }

  Secret secret_;
  std::vector<Entry> entries_;
  std::size_t size_ = 0;
};

}  // namespace sluice
