// Reading and writing messages whose layout is known only while one walks it: options, records,
// text. Every step is checked; nothing allocates or throws. Fixed headers use base/bytes.h instead.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"

namespace sluice::wire {

// Once a read asked for more than there is, ok() is false and all that follows reads as zero or
// empty, so that a group of reads is checked once, at its end.
class ByteReader {
 public:
  explicit ByteReader(ByteView bytes) : rest_(bytes), size_(bytes.size()) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool empty() const { return rest_.empty(); }
  [[nodiscard]] ByteView rest() const { return rest_; }
  [[nodiscard]] std::size_t position() const { return size_ - rest_.size(); }

  ByteView take(std::size_t count) {
    if (count > rest_.size()) {
      ok_ = false;
      rest_ = rest_.last(0);
      return {};
    }
    const ByteView taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  std::uint8_t u8() {
    const ByteView bytes = take(1);
    return bytes.empty() ? std::uint8_t{0} : bytes[0];
  }
  std::uint16_t u16() {
    const ByteView bytes = take(2);
    return bytes.empty() ? std::uint16_t{0} : be16<0>(bytes.first<2>());
  }
  std::uint32_t u32() {
    const ByteView bytes = take(4);
    return bytes.empty() ? 0 : be32<0>(bytes.first<4>());
  }

 private:
  ByteView rest_;
  std::size_t size_;
  bool ok_ = true;
};

// Once something did not fit, ok() is false and nothing more is written.
class ByteWriter {
 public:
  explicit ByteWriter(MutableBytes out) : out_(out) {}

  [[nodiscard]] bool ok() const { return ok_; }
  // Bytes written so far.
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] MutableBytes written() const { return out_.first(size_); }
  // The message's length, or nothing if it did not fit.
  [[nodiscard]] std::optional<std::size_t> finish() const {
    return ok_ ? std::optional(size_) : std::nullopt;
  }

  // Room for `count` bytes to fill, or an empty span.
  MutableBytes reserve(std::size_t count) {
    if (!ok_ || count > out_.size() - size_) {
      ok_ = false;
      return {};
    }
    const MutableBytes room = out_.subspan(size_, count);
    size_ += count;
    return room;
  }
  void u8(std::uint8_t value) {
    if (const MutableBytes room = reserve(1); !room.empty()) room[0] = value;
  }
  void u16(std::uint16_t value) {
    if (const MutableBytes room = reserve(2); !room.empty()) put16<0>(room.first<2>(), value);
  }
  void u32(std::uint32_t value) {
    if (const MutableBytes room = reserve(4); !room.empty()) put32<0>(room.first<4>(), value);
  }
  void bytes(ByteView source) {
    const MutableBytes room = reserve(source.size());
    if (!room.empty()) std::copy(source.begin(), source.end(), room.begin());
  }
  void text(std::string_view source) {
    const MutableBytes room = reserve(source.size());
    if (room.empty()) return;
    std::transform(source.begin(), source.end(), room.begin(),
                   [](char c) { return static_cast<std::uint8_t>(c); });
  }
  void zeros(std::size_t count) { std::ranges::fill(reserve(count), std::uint8_t{0}); }

  // Overwrites what was written at `position`, such as a length that is known only later.
  void patch8(std::size_t position, std::uint8_t value) {
    if (ok_ && position < size_) out_[position] = value;
  }
  void patch16(std::size_t position, std::uint16_t value) {
    if (ok_ && position + 2 <= size_) put16<0>(out_.subspan(position).first<2>(), value);
  }
  void fail() { ok_ = false; }

 private:
  MutableBytes out_;
  std::size_t size_ = 0;
  bool ok_ = true;
};

}  // namespace sluice::wire
