#include "policy/prefix_index.h"

#include <algorithm>
#include <numeric>

#include "base/bytes.h"

namespace sluice::policy {
namespace {

std::uint64_t be64(FixedView<8> bytes) {
  return (std::uint64_t{be32<0>(bytes)} << 32) | be32<4>(bytes);
}

// All ones below the top `length` bits of a word; `length` may be beyond the word.
template <typename Word>
constexpr Word host_mask(unsigned length) {
  constexpr unsigned kBits = sizeof(Word) * 8;
  return length >= kBits ? Word{0} : static_cast<Word>(~Word{0} >> length);
}

}  // namespace

PrefixIndex::WideKey PrefixIndex::wide_key(const wire::IpAddress& address) {
  const auto octets = address.octets();
  return {be64(octets.first<8>()), be64(octets.last<8>())};
}

template <typename Key>
std::uint32_t PrefixIndex::Ranges<Key>::find(const Key& key) const {
  const auto after = std::upper_bound(starts.begin(), starts.end(), key);
  if (after == starts.begin()) return kNone;
  return owners[static_cast<std::size_t>(after - starts.begin()) - 1];
}

// A later owner of the same start is a longer prefix, or what lies around one that was empty.
template <typename Key>
void PrefixIndex::Ranges<Key>::begin_at(const Key& key, std::uint32_t owner) {
  if (!starts.empty() && starts.back() == key) {
    owners.back() = owner;
    return;
  }
  starts.push_back(key);
  owners.push_back(owner);
}

template <typename Key>
void PrefixIndex::fill(Ranges<Key>& ranges, std::span<const Span<Key>> sorted) {
  ranges.starts.reserve(2 * sorted.size());
  ranges.owners.reserve(2 * sorted.size());
  std::vector<Span<Key>> open;  // Each inside the one before it.
  const auto close_one = [&] {
    const Span<Key> done = open.back();
    open.pop_back();
    const std::uint32_t around = open.empty() ? kNone : open.back().prefix;
    if (!done.after_wraps) ranges.begin_at(done.after, around);
  };
  for (const Span<Key>& span : sorted) {
    while (!open.empty() && !open.back().after_wraps && open.back().after <= span.first) {
      close_one();
    }
    enclosing_[span.prefix] = open.empty() ? kNone : open.back().prefix;
    ranges.begin_at(span.first, span.prefix);
    open.push_back(span);
  }
  while (!open.empty()) close_one();
}

PrefixIndex::PrefixIndex(std::span<const wire::Prefix> prefixes)
    : enclosing_(prefixes.size(), kNone) {
  std::vector<std::uint32_t> order(prefixes.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    if (prefixes[a].address != prefixes[b].address) {
      return prefixes[a].address < prefixes[b].address;
    }
    return prefixes[a].length < prefixes[b].length;  // The outer before the inner.
  });

  std::vector<Span<std::uint32_t>> v4;
  std::vector<Span<WideKey>> v6;
  for (const std::uint32_t i : order) {
    const wire::Prefix& prefix = prefixes[i];
    const unsigned length = prefix.length;
    if (prefix.address.is_v4()) {
      const std::uint32_t first = prefix.address.v4_value();
      const std::uint32_t last = first | host_mask<std::uint32_t>(length);
      v4.push_back({first, last + 1, last == 0xffff'ffff, i});
    } else {
      const WideKey first = wide_key(prefix.address);
      const WideKey last{first.high | host_mask<std::uint64_t>(length),
                         first.low | host_mask<std::uint64_t>(length > 64 ? length - 64 : 0)};
      const std::uint64_t carry = last.low == ~std::uint64_t{0} ? 1 : 0;
      const WideKey after{last.high + carry, last.low + 1};
      v6.push_back({first, after, after == WideKey{}, i});
    }
  }
  fill<std::uint32_t>(v4_, v4);
  fill<WideKey>(v6_, v6);
}

std::uint32_t PrefixIndex::find(const wire::IpAddress& address) const {
  return address.is_v4() ? v4_.find(address.v4_value()) : v6_.find(wide_key(address));
}

}  // namespace sluice::policy
