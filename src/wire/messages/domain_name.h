// Domain names (RFC 1035, 3.1 and 4.1.4) as values: at most 255 bytes, held inline in wire form
// without compression. No heap.
//
//   | length | label … | length | label … | 0 |        length 1…63
//   | 1 1 | offset, 14 bits |                          compression pointer
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "wire/byte_cursor.h"
#include "wire/parse_error.h"

namespace sluice::wire {

inline constexpr std::size_t kDomainNameSizeMax = 255;
inline constexpr std::size_t kLabelSizeMax = 63;

class DomainName {
 public:
  constexpr DomainName() = default;  // the root

  // "example.com", with or without the final dot; "." is the root. `\.`, `\\` and `\DDD` stand for
  // bytes that a label may hold but text could not show (RFC 1035, 5.1). Nothing for an empty
  // label, one above 63 bytes, or a name above 255.
  [[nodiscard]] static std::optional<DomainName> from_text(std::string_view text);

  // Without the final dot, "." for the root.
  [[nodiscard]] std::string to_text() const;

  // Wire form, the final zero included.
  [[nodiscard]] ByteView wire() const { return ByteView(octets_).first(size_); }
  [[nodiscard]] bool is_root() const { return size_ == 1; }

  // ASCII letters compare without case (RFC 4343).
  friend bool operator==(const DomainName& a, const DomainName& b);

  // True for the name itself and all below it.
  [[nodiscard]] bool is_within(const DomainName& suffix) const;

  // Adds a label of 1…63 bytes at the end; false if there is no room.
  [[nodiscard]] bool append(ByteView label);

 private:
  std::array<std::uint8_t, kDomainNameSizeMax> octets_{};
  std::uint8_t size_ = 1;
};

// A name read from a message, and where the bytes after it begin.
struct DecodedName {
  DomainName name{};
  std::size_t next = 0;
};

// Reads the name at `offset` and follows compression pointers, which may only lead backwards: so no
// message makes this run for longer than its name is. A pointer to before `names_from`, such as
// into the header of a DNS message, whose bytes change on the way, is refused.
[[nodiscard]] std::expected<DecodedName, ParseError> read_name(ByteView message, std::size_t offset,
                                                               std::size_t names_from = 0);

// A list of names back to back, as options of DHCP (RFC 3397), DHCPv6 (RFC 8415, 10) and RA (RFC
// 8106) have it. Zero padding behind the names is skipped. Compression pointers count from the
// start of `bytes`; where the format forbids them they are refused. At most kNameListMax names are
// kept.
enum class Compression : std::uint8_t { kAllowed, kForbidden };
inline constexpr std::size_t kNameListMax = 32;
[[nodiscard]] std::expected<std::vector<DomainName>, ParseError> read_name_list(
    ByteView bytes, Compression compression);

inline void write_name(ByteWriter& out, const DomainName& name) { out.bytes(name.wire()); }

}  // namespace sluice::wire
