// A domain name as a search goes through it: in lower case, from its last label to its first. A
// value of 400 bytes, for the stack.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/hash.h"
#include "wire/messages/domain_name.h"

namespace sluice::policy {

class NamePath {
 public:
  // A label takes two bytes at least.
  static constexpr std::size_t kLabelsMax = wire::kDomainNameSizeMax / 2;
  static constexpr std::uint64_t kRootHash = 0x243f'6a88'85a3'08d3;

  explicit NamePath(const wire::DomainName& name) {
    const ByteView wire = name.wire();
    for (std::size_t at = 0; at < wire.size(); ++at) {
      const std::uint8_t octet = wire[at];
      // Lengths of labels are below 'A'.
      folded_[at] = octet >= 'A' && octet <= 'Z' ? static_cast<std::uint8_t>(octet | 0x20U) : octet;
    }
    std::size_t at = 0;
    for (; wire[at] != 0; at += wire[at] + std::size_t{1}) {
      starts_[labels_++] = static_cast<std::uint8_t>(at);
    }
    starts_[labels_] = static_cast<std::uint8_t>(at);
    size_ = wire.size();
  }

  [[nodiscard]] std::size_t labels() const { return labels_; }
  // The name without its first `i` labels, in wire form. labels() gives the root.
  [[nodiscard]] ByteView suffix(std::size_t i) const {
    return ByteView(folded_).subspan(starts_[i], size_ - starts_[i]);
  }
  // Without its length.
  [[nodiscard]] ByteView label(std::size_t i) const {
    return ByteView(folded_).subspan(starts_[i] + std::size_t{1}, folded_[starts_[i]]);
  }

  // The hash of suffix(i), from that of suffix(i + 1).
  [[nodiscard]] std::uint64_t hash(std::size_t i, std::uint64_t of_parent) const {
    return detail::fold_product(of_parent ^ KeyedHash(HashSecret{})(label(i)),
                                0x9e37'79b9'7f4a'7c15);
  }

 private:
  std::array<std::uint8_t, wire::kDomainNameSizeMax> folded_{};
  std::array<std::uint8_t, kLabelsMax + 1> starts_{};
  std::size_t labels_ = 0;
  std::size_t size_ = 0;
};

}  // namespace sluice::policy
