// The fields of a control message: numbers little-endian, texts and lists behind their count (32
// bits). Each is one `field()` call, the same for writing and reading, so that the two cannot
// differ.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "base/bytes.h"
#include "wire/address.h"

namespace sluice::box {

template <typename T>
concept FieldNumber = std::is_integral_v<T> && !std::same_as<T, bool>;

// Appends. Nothing can fail.
class FieldWriter {
 public:
  explicit FieldWriter(std::vector<std::uint8_t>& out) : out_(&out) {}

  template <FieldNumber T>
  void field(const T& value) {
    auto rest = static_cast<std::make_unsigned_t<T>>(value);
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      out_->push_back(static_cast<std::uint8_t>(rest));
      if constexpr (sizeof(T) > 1) rest = static_cast<std::make_unsigned_t<T>>(rest >> 8);
    }
  }
  void flag(const bool& value) { field(static_cast<std::uint8_t>(value ? 1 : 0)); }
  template <typename Enum>
  void choice(const Enum& value, Enum /*last*/) {
    field(static_cast<std::uint8_t>(value));
  }
  void field(const std::string& text) {
    field(static_cast<std::uint32_t>(text.size()));
    out_->insert(out_->end(), text.begin(), text.end());
  }
  void field(const wire::IpAddress& address) {
    out_->insert(out_->end(), address.octets().begin(), address.octets().end());
  }
  template <typename T, typename Each>
  void list(const std::vector<T>& items, Each&& each) {
    field(static_cast<std::uint32_t>(items.size()));
    for (const T& item : items) each(*this, item);
  }
  template <typename T, typename Each>
  void maybe(const std::optional<T>& item, Each&& each) {
    flag(item.has_value());
    if (item) each(*this, *item);
  }

 private:
  std::vector<std::uint8_t>* out_;
};

// Once something is missing or has no such form, ok() is false and all that follows stays as it is.
class FieldReader {
 public:
  explicit FieldReader(ByteView bytes) : rest_(bytes) {}

  // All was there, and nothing more is.
  [[nodiscard]] bool complete() const { return ok_ && rest_.empty(); }

  template <FieldNumber T>
  void field(T& value) {
    const ByteView bytes = take(sizeof(T));
    if (!ok_) return;
    std::make_unsigned_t<T> number = 0;
    for (std::size_t i = sizeof(T); i-- > 0;) {
      if constexpr (sizeof(T) > 1) number = static_cast<std::make_unsigned_t<T>>(number << 8);
      number = static_cast<std::make_unsigned_t<T>>(number | bytes[i]);
    }
    value = static_cast<T>(number);
  }
  void flag(bool& value) {
    std::uint8_t number = 0;
    field(number);
    if (number > 1) ok_ = false;
    value = number == 1;
  }
  template <typename Enum>
  void choice(Enum& value, Enum last) {
    std::uint8_t number = 0;
    field(number);
    if (number > static_cast<std::uint8_t>(last)) ok_ = false;
    if (ok_) value = static_cast<Enum>(number);
  }
  void field(std::string& text) {
    std::uint32_t size = 0;
    field(size);
    const ByteView bytes = take(size);
    text.assign(bytes.begin(), bytes.end());
  }
  void field(wire::IpAddress& address) {
    const ByteView bytes = take(16);
    if (ok_) address = wire::IpAddress::v6(bytes.first<16>());
  }
  template <typename T, typename Each>
  void list(std::vector<T>& items, Each&& each) {
    std::uint32_t count = 0;
    field(count);
    // An item has a byte at least, so that a count without items is refused before it costs memory.
    if (count > rest_.size()) ok_ = false;
    items.clear();
    for (std::uint32_t i = 0; ok_ && i < count; ++i) each(*this, items.emplace_back());
  }
  template <typename T, typename Each>
  void maybe(std::optional<T>& item, Each&& each) {
    bool there = false;
    flag(there);
    item.reset();
    if (ok_ && there) each(*this, item.emplace());
  }

 private:
  ByteView take(std::size_t count) {
    if (!ok_ || count > rest_.size()) {
      ok_ = false;
      return {};
    }
    const ByteView taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }

  ByteView rest_;
  bool ok_ = true;
};

}  // namespace sluice::box
