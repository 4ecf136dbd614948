// Whatever bytes a text has: a log's line is one line of JSON, and what is read from it is known.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "telemetry/json_line.h"

namespace sluice::telemetry {
namespace {

std::string line_of(const std::string& text) {
  fmt::memory_buffer out;
  JsonLine line(out);
  line.text("text", text);
  line.number("behind", 7);
  line.end_line();
  return fmt::to_string(out);
}

// Of U+0000 to U+10FFFF without surrogates; RFC 3629, section 3.
std::string utf8_of(const std::vector<std::uint32_t>& points) {
  std::string text;
  for (std::uint32_t point : points) {
    if (point >= 0xd800 && point < 0xe000) point -= 0x800;
    const auto tail = [&](unsigned shift) {
      text.push_back(static_cast<char>(0x80U | ((point >> shift) & 0x3fU)));
    };
    if (point < 0x80) {
      text.push_back(static_cast<char>(point));
    } else if (point < 0x800) {
      text.push_back(static_cast<char>(0xc0U | (point >> 6U)));
      tail(0);
    } else if (point < 0x10000) {
      text.push_back(static_cast<char>(0xe0U | (point >> 12U)));
      tail(6);
      tail(0);
    } else {
      text.push_back(static_cast<char>(0xf0U | (point >> 18U)));
      tail(12);
      tail(6);
      tail(0);
    }
  }
  return text;
}

void check_line(const std::string& line) {
  RC_ASSERT(line.ends_with("}\n"));
  // Nothing that a terminal would obey, and no second line.
  RC_ASSERT(std::none_of(line.begin(), line.end() - 1, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  }));
  RC_ASSERT(nlohmann::json::accept(line));
  RC_ASSERT(nlohmann::json::parse(line)["behind"] == 7);
}

RC_GTEST_PROP(JsonLineProperty, AnyBytesMakeOneValidLine, ()) {
  const auto bytes = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
  check_line(line_of(bytes));
}

RC_GTEST_PROP(JsonLineProperty, Utf8IsReadAsItWasWritten, ()) {
  const auto points = *rc::gen::container<std::vector<std::uint32_t>>(rc::gen::oneOf(
      rc::gen::inRange<std::uint32_t>(0, 0x80), rc::gen::inRange<std::uint32_t>(0x80, 0x800),
      rc::gen::inRange<std::uint32_t>(0x800, 0x10000),
      rc::gen::inRange<std::uint32_t>(0x10000, 0x110000)));
  const std::string text = utf8_of(points);
  const std::string line = line_of(text);
  check_line(line);
  RC_ASSERT(nlohmann::json::parse(line)["text"].get<std::string>() == text);
}

// One byte that is not UTF-8 makes Latin-1 of the text: each byte is read as a character.
RC_GTEST_PROP(JsonLineProperty, OtherTextIsReadByteByByte, ()) {
  const auto bytes = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
  const std::string text = bytes + '\xff';
  const std::string line = line_of(text);
  check_line(line);
  std::vector<std::uint32_t> points;
  for (const char c : text) points.push_back(static_cast<unsigned char>(c));
  RC_ASSERT(nlohmann::json::parse(line)["text"].get<std::string>() == utf8_of(points));
}

}  // namespace
}  // namespace sluice::telemetry
