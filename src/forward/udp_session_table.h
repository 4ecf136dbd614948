// From a client's endpoint, at a listener, to the place of its session in a slab.
//
// Open addressing with linear probing and backward-shift deletion, as flow/table.h has it. Source
// addresses of datagrams are whatever a sender writes, so the hash is SipHash under a secret key:
// nobody can prepare endpoints that collide.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/siphash.h"
#include "wire/address.h"

namespace sluice::forward {

struct UdpSessionKey {
  wire::Endpoint client;
  std::uint32_t scope_id = 0;  // The interface of a link-local client, which is part of its name.
  std::uint32_t listener = 0;  // Its index.
  friend constexpr bool operator==(const UdpSessionKey&, const UdpSessionKey&) = default;

  [[nodiscard]] std::uint32_t hash(const SipKey& secret) const {
    std::array<std::uint8_t, 26> bytes;
    std::memcpy(bytes.data(), client.address.octets().data(), 16);
    std::memcpy(bytes.data() + 16, &client.port.value, 2);
    std::memcpy(bytes.data() + 18, &scope_id, 4);
    std::memcpy(bytes.data() + 22, &listener, 4);
    return static_cast<std::uint32_t>(siphash(secret, bytes));
  }
};

class UdpSessionTable {
 public:
  static constexpr std::uint32_t kNone = 0xffff'ffff;

  explicit UdpSessionTable(const SipKey& secret) : secret_(secret), entries_(kInitialCapacity) {}

  // `key_at(index)` gives the key of the session at that place.
  template <typename KeyAt>
  [[nodiscard]] std::uint32_t find(const UdpSessionKey& key, const KeyAt& key_at) const {
    const std::uint32_t hash = key.hash(secret_);
    for (std::size_t at = hash & mask();; at = (at + 1) & mask()) {
      const Entry& entry = entries_[at];
      if (entry.index == kNone) return kNone;
      if (entry.hash == hash && key_at(entry.index) == key) return entry.index;
    }
  }

  // The key must not be in the table.
  void insert(const UdpSessionKey& key, std::uint32_t index) {
    if ((size_ + 1) * 4 > entries_.size() * 3) grow();
    place({key.hash(secret_), index});
    ++size_;
  }

  void erase(const UdpSessionKey& key, std::uint32_t index) {
    std::size_t at = key.hash(secret_) & mask();
    for (; entries_[at].index != index; at = (at + 1) & mask()) {
      if (entries_[at].index == kNone) return;
    }
    close_gap(at);
    --size_;
  }

  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t kInitialCapacity = 64;

  struct Entry {
    std::uint32_t hash = 0;
    std::uint32_t index = kNone;
  };

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

  [[gnu::cold]] void grow() {
    std::vector<Entry> old(entries_.size() * 2);
    old.swap(entries_);
    for (const Entry& entry : old) {
      if (entry.index != kNone) place(entry);
    }
  }

  SipKey secret_;
  std::vector<Entry> entries_;
  std::size_t size_ = 0;
};

}  // namespace sluice::forward
