// One object of JSON in one line, written member by member behind what a buffer holds: for logs,
// which write thousands a second and must not allocate. Whatever bytes a text has, the line stays
// valid JSON (RFC 8259) and one line. Not thread-safe.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sluice::telemetry {

// The inside of a JSON string. Text that is UTF-8 (RFC 3629) stays as it is, but for what JSON or a
// terminal must not get raw. Other text has each byte above 0x7f escaped as if it were Latin-1: a
// single such byte would spoil the whole line for a parser.
void append_json_text(fmt::memory_buffer& out, std::string_view text);

class JsonLine {
 public:
  // Opens the object. Keys are ours: they are not escaped.
  explicit JsonLine(fmt::memory_buffer& out) : out_(out) { open(); }
  JsonLine(const JsonLine&) = delete;
  JsonLine& operator=(const JsonLine&) = delete;

  void text(std::string_view key, std::string_view value);
  // The text that `fill` puts into a buffer: what is put together of several pieces.
  template <typename Fill>
  void filled(std::string_view key, const Fill& fill) {
    fmt::memory_buffer value;  // Has room of its own for all but long paths.
    fill(value);
    text(key, std::string_view(value.data(), value.size()));
  }
  void texts(std::string_view key, std::span<const std::string> values);
  void null(std::string_view key);
  void number(std::string_view key, std::uint64_t value);
  void flag(std::string_view key, bool value);
  // `value` in units of the last of `digits` places: (1250, 3) is 1.250.
  void decimal(std::string_view key, std::uint64_t value, unsigned digits);

  void open_object(std::string_view key);
  // Of the innermost object that is open; the line itself has no newline yet.
  void close();
  // The line's own, with its newline.
  void end_line();

 private:
  void open();
  void name(std::string_view key);

  fmt::memory_buffer& out_;
  bool first_ = true;  // Of the innermost object that is open.
};

}  // namespace sluice::telemetry
