#include "telemetry/json_line.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace sluice::telemetry {
namespace {

std::string escaped(std::string_view text) {
  fmt::memory_buffer out;
  append_json_text(out, text);
  return fmt::to_string(out);
}

TEST(JsonText, WhatWouldEndTheStringOrTheLineIsEscaped) {
  EXPECT_EQ(escaped("plain text, /as/it/is"), "plain text, /as/it/is");
  EXPECT_EQ(escaped("a\"b\\c"), R"(a\"b\\c)");
  EXPECT_EQ(escaped("\n\t\x1b[2J\x7f"), "\\u000a\\u0009\\u001b[2J\\u007f");
  EXPECT_EQ(escaped(std::string_view("\0", 1)), "\\u0000");
  EXPECT_EQ(escaped(""), "");
}

TEST(JsonText, Utf8StaysAsItIs) {
  for (const char* text : {"é", "日本", "\xf0\x9f\x8e\x89", "\xc2\x80", "\xed\x9f\xbf",
                           "\xee\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(escaped(text), text);
  }
}

// RFC 3629: cut short, overlong, a surrogate, above U+10FFFF, a byte that begins nothing.
TEST(JsonText, TextThatIsNotUtf8IsTakenForLatin1) {
  EXPECT_EQ(escaped("\xff"), "\\u00ff");
  EXPECT_EQ(escaped("\xc3\xa9\xe9"), "\\u00c3\\u00a9\\u00e9");
  EXPECT_EQ(escaped("\xe6\x97"), "\\u00e6\\u0097");
  EXPECT_EQ(escaped("\xc0\xaf"), "\\u00c0\\u00af");
  EXPECT_EQ(escaped("\xe0\x80\xaf"), "\\u00e0\\u0080\\u00af");
  EXPECT_EQ(escaped("\xf0\x80\x80\xaf"), "\\u00f0\\u0080\\u0080\\u00af");
  EXPECT_EQ(escaped("\xed\xa0\x80"), "\\u00ed\\u00a0\\u0080");
  EXPECT_EQ(escaped("\xf4\x90\x80\x80"), "\\u00f4\\u0090\\u0080\\u0080");
  EXPECT_EQ(escaped("\x80"), "\\u0080");
}

TEST(JsonLine, WritesEachKindOfMember) {
  fmt::memory_buffer out;
  out.append(std::string_view("before\n"));
  JsonLine line(out);
  line.text("text", "\"\n");
  line.filled("filled", [](fmt::memory_buffer& to) { to.append(std::string_view("a\\b")); });
  line.null("none");
  line.number("number", 18'446'744'073'709'551'615U);
  line.decimal("seconds", 1'250'000, 6);
  line.decimal("milliseconds", 5, 3);
  line.open_object("empty");
  line.close();
  line.open_object("object");
  line.number("one", 1);
  line.text("two", "2");
  line.close();
  line.number("last", 0);
  line.end_line();
  EXPECT_EQ(fmt::to_string(out),
            "before\n"
            R"({"text":"\"\u000a","filled":"a\\b","none":null,"number":18446744073709551615,)"
            R"("seconds":1.250000,"milliseconds":0.005,"empty":{},"object":{"one":1,"two":"2"},)"
            R"("last":0})"
            "\n");
  EXPECT_TRUE(nlohmann::json::accept(fmt::to_string(out).substr(7)));
}

}  // namespace
}  // namespace sluice::telemetry
