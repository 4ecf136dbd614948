// Byte strings to numbers that count from 0, in order of their coming. The hash is the caller's, so
// that one who has it of a part may go on from there.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/index_table.h"

namespace sluice::policy {

class ByteTable {
 public:
  static constexpr std::uint32_t kNone = 0xffff'ffff;

  [[nodiscard]] std::uint32_t find(std::uint64_t hash, ByteView bytes) const {
    return table_.find(Key{hash, bytes}, [this](std::uint32_t i) { return key_at(i); });
  }
  // The number that it has or gets.
  std::uint32_t insert(std::uint64_t hash, ByteView bytes);

  [[nodiscard]] std::size_t size() const { return stored_.size(); }

 private:
  struct Unkeyed {};  // What is in the table comes from the user, not from a guest.
  struct Key {
    std::uint64_t hash_value = 0;
    ByteView bytes;
    [[nodiscard]] std::uint64_t hash(const Unkeyed& /*secret*/) const { return hash_value; }
    friend bool operator==(const Key& a, const Key& b) {
      return std::ranges::equal(a.bytes, b.bytes);
    }
  };
  struct Stored {
    std::uint64_t hash = 0;
    std::uint32_t begin = 0;  // Into bytes_.
    std::uint32_t size = 0;
  };

  [[nodiscard]] Key key_at(std::uint32_t i) const {
    const Stored& stored = stored_[i];
    return {stored.hash, ByteView(bytes_).subspan(stored.begin, stored.size)};
  }

  IndexTable<Key, Unkeyed, 64> table_{Unkeyed{}};
  std::vector<Stored> stored_;
  std::vector<std::uint8_t> bytes_;
};

inline std::uint32_t ByteTable::insert(std::uint64_t hash, ByteView bytes) {
  const std::uint32_t found = find(hash, bytes);
  if (found != kNone) return found;
  const auto number = static_cast<std::uint32_t>(stored_.size());
  stored_.push_back(
      {hash, static_cast<std::uint32_t>(bytes_.size()), static_cast<std::uint32_t>(bytes.size())});
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  table_.insert(Key{hash, bytes}, number);
  return number;
}

}  // namespace sluice::policy
