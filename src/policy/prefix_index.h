// Finds, for an address, the longest prefix of a set that contains it, and then every shorter one.
//
// Two prefixes are nested or disjoint. So the addresses of a family fall into ranges, each of
// which has one longest prefix; the index is the sorted starts of these ranges, searched by
// halving, and a link from each prefix to the next shorter one around it. With 100,000 prefixes
// that is at most 18 steps through one array.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <vector>

#include "wire/address.h"

namespace sluice::policy {

class PrefixIndex {
 public:
  static constexpr std::uint32_t kNone = 0xffff'ffff;

  PrefixIndex() = default;
  // `prefixes` are distinct and have no host bits. Results are positions in this list.
  explicit PrefixIndex(std::span<const wire::Prefix> prefixes);

  // The longest prefix around `address`, or kNone.
  [[nodiscard]] std::uint32_t find(const wire::IpAddress& address) const;
  // The next shorter prefix around that one, or kNone.
  [[nodiscard]] std::uint32_t enclosing(std::uint32_t prefix) const { return enclosing_[prefix]; }

 private:
  struct WideKey {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    friend constexpr auto operator<=>(const WideKey&, const WideKey&) = default;
  };
  static WideKey wide_key(const wire::IpAddress& address);

  // Range i runs from starts[i] to starts[i + 1]; owners[i] is its longest prefix.
  template <typename Key>
  struct Ranges {
    std::vector<Key> starts;
    std::vector<std::uint32_t> owners;
    [[nodiscard]] std::uint32_t find(const Key& key) const;
    void begin_at(const Key& key, std::uint32_t owner);
  };

  // The addresses of one prefix: from `first` up to `after`, which wraps to zero at the very end.
  template <typename Key>
  struct Span {
    Key first{};
    Key after{};
    bool after_wraps = false;
    std::uint32_t prefix = 0;
  };
  template <typename Key>
  void fill(Ranges<Key>& ranges, std::span<const Span<Key>> sorted);

  Ranges<std::uint32_t> v4_;
  Ranges<WideKey> v6_;
  std::vector<std::uint32_t> enclosing_;
};

}  // namespace sluice::policy
