#include "telemetry/json_line.h"

#include <iterator>

namespace sluice::telemetry {
namespace {

constexpr bool is_control(std::uint8_t byte) { return byte < 0x20 || byte == 0x7f; }

bool is_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const auto lead = static_cast<std::uint8_t>(text[at]);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xc2 ? 0
                               : lead < 0xe0 ? 2
                               : lead < 0xf0 ? 3
                               : lead < 0xf5 ? 4
                                             : 0;
    if (length == 0 || length > text.size() - at) return false;
    std::uint32_t point = length == 1 ? lead : lead & (0x7fU >> length);
    for (std::size_t i = 1; i < length; ++i) {
      const auto byte = static_cast<std::uint8_t>(text[at + i]);
      if ((byte & 0xc0U) != 0x80U) return false;
      point = point << 6U | (byte & 0x3fU);
    }
    // Overlong forms, surrogates and what is above U+10FFFF (RFC 3629, section 3).
    if (length == 3 && (point < 0x800 || (point >= 0xd800 && point < 0xe000))) return false;
    if (length == 4 && (point < 0x10000 || point > 0x10ffff)) return false;
    at += length;
  }
  return true;
}

}  // namespace

void append_json_text(fmt::memory_buffer& out, std::string_view text) {
  const bool utf8 = is_utf8(text);
  for (const char c : text) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (is_control(byte) || (byte >= 0x80 && !utf8)) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    } else {
      if (c == '"' || c == '\\') out.push_back('\\');
      out.push_back(c);
    }
  }
}

void JsonLine::open() {
  out_.push_back('{');
  first_ = true;
}

void JsonLine::name(std::string_view key) {
  if (!first_) out_.push_back(',');
  first_ = false;
  out_.push_back('"');
  out_.append(key);
  out_.push_back('"');
  out_.push_back(':');
}

void JsonLine::text(std::string_view key, std::string_view value) {
  name(key);
  out_.push_back('"');
  append_json_text(out_, value);
  out_.push_back('"');
}

void JsonLine::texts(std::string_view key, std::span<const std::string> values) {
  name(key);
  out_.push_back('[');
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out_.push_back(',');
    out_.push_back('"');
    append_json_text(out_, values[i]);
    out_.push_back('"');
  }
  out_.push_back(']');
}

void JsonLine::null(std::string_view key) {
  name(key);
  out_.append(std::string_view("null"));
}

void JsonLine::number(std::string_view key, std::uint64_t value) {
  name(key);
  const fmt::format_int digits(value);
  out_.append(std::string_view(digits.data(), digits.size()));
}

void JsonLine::flag(std::string_view key, bool value) {
  name(key);
  out_.append(std::string_view(value ? "true" : "false"));
}

void JsonLine::decimal(std::string_view key, std::uint64_t value, unsigned digits) {
  std::uint64_t unit = 1;
  for (unsigned i = 0; i < digits; ++i) unit *= 10;
  name(key);
  fmt::format_to(std::back_inserter(out_), "{}.{:0{}}", value / unit, value % unit, digits);
}

void JsonLine::open_object(std::string_view key) {
  name(key);
  open();
}

void JsonLine::close() {
  out_.push_back('}');
  first_ = false;
}

void JsonLine::end_line() {
  close();
  out_.push_back('\n');
}

}  // namespace sluice::telemetry
