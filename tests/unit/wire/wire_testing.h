// Shared by the tests of wire formats: bytes from hex, and the cuts of a message.
#pragma once

#include <gtest/gtest.h>

#include <charconv>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "wire/address.h"

namespace sluice::wire {

using Bytes = std::vector<std::uint8_t>;

// Spaces are skipped.
inline Bytes from_hex(std::string_view hex) {
  std::string digits;
  for (const char c : hex) {
    if (c != ' ') digits += c;
  }
  Bytes bytes(digits.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::from_chars(digits.data() + 2 * i, digits.data() + 2 * i + 2, bytes[i], 16);
  }
  return bytes;
}

inline Bytes from_text(std::string_view text) { return {text.begin(), text.end()}; }

inline Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline Bytes copy_of(ByteView view) { return {view.begin(), view.end()}; }

inline Bytes cut_front(Bytes bytes, std::size_t count) {
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
  return bytes;
}

inline IpAddress ip(std::string_view text) { return parse_ip(text).value(); }
inline MacAddress mac(std::string_view text) { return parse_mac(text).value(); }

// Calls `check(cut)` with the first 0, 1, … size-1 bytes, each in a block of its own, so that the
// address sanitizer sees a read behind the cut.
template <typename Check>
void for_each_truncation(ByteView message, const Check& check) {
  for (std::size_t size = 0; size < message.size(); ++size) {
    SCOPED_TRACE(testing::Message() << "cut to " << size << " bytes");
    const Bytes cut = copy_of(message.first(size));
    check(ByteView(cut));
  }
}

}  // namespace sluice::wire
