// A name in lower case (RFC 4343), in wire form: what tables of names have as their key.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "wire/messages/domain_name.h"

namespace sluice::dns {

class FoldedName {
 public:
  explicit FoldedName(const wire::DomainName& name) : size_(name.wire().size()) {
    // Lengths of labels are below 'A', so folding whole names leaves them alone.
    std::ranges::transform(name.wire(), octets_.begin(), lower);
  }
  [[nodiscard]] ByteView bytes() const { return ByteView(octets_).first(size_); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  [[nodiscard]] static constexpr std::uint8_t lower(std::uint8_t octet) {
    return octet >= 'A' && octet <= 'Z' ? static_cast<std::uint8_t>(octet | 0x20) : octet;
  }

  std::array<std::uint8_t, wire::kDomainNameSizeMax> octets_{};
  std::size_t size_;
};

}  // namespace sluice::dns
