#include "telemetry/text.h"

#include <gtest/gtest.h>

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;

TEST(Text, HumanBytesKeepThreeDigits) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1024), "1.0 KiB");
  EXPECT_EQ(human_bytes(10'188), "9.9 KiB");
  EXPECT_EQ(human_bytes(10'189), "10 KiB");
  EXPECT_EQ(human_bytes(1'023'487), "999 KiB");
  EXPECT_EQ(human_bytes(1'023'488), "1.0 MiB");
  EXPECT_EQ(human_bytes(std::uint64_t{3} << 30), "3.0 GiB");
  EXPECT_EQ(human_bytes(~std::uint64_t{0}), "16 EiB");
}

std::string name_text(std::string_view name) {
  fmt::memory_buffer out;
  append_name(out, name);
  return fmt::to_string(out);
}

TEST(Text, NamesArePrintableAndEscapedOnce) {
  EXPECT_EQ(name_text("www.example.org"), "www.example.org");
  EXPECT_EQ(name_text("a\x1b[31m b\xff\"c"), R"(a\027[31m\032b\255\034c)");
  // As DomainName::to_text() writes what a guest asked for.
  EXPECT_EQ(name_text(R"(a\027[31mred.test)"), R"(a\027[31mred.test)");
  EXPECT_EQ(name_text(R"(one\.label.test)"), R"(one\.label.test)");
  EXPECT_EQ(name_text(R"(a\\\027b)"), R"(a\\\027b)");
  // A backslash that begins no escape.
  EXPECT_EQ(name_text(R"(a\256)"), R"(a\092256)");
  EXPECT_EQ(name_text(R"(a\2)"), R"(a\0922)");
  EXPECT_EQ(name_text("a\\"), R"(a\092)");
  EXPECT_EQ(name_text("\\\x1b"), R"(\092\027)");
}

TEST(Text, HumanDurations) {
  EXPECT_EQ(human_duration(-1s), "0.000 s");
  EXPECT_EQ(human_duration(12ms), "0.012 s");
  EXPECT_EQ(human_duration(1200ms), "1.20 s");
  EXPECT_EQ(human_duration(59'900ms), "59.9 s");
  EXPECT_EQ(human_duration(59'960ms), "1 m 00 s");
  EXPECT_EQ(human_duration(125s), "2 m 05 s");
  EXPECT_EQ(human_duration(3h + 7min), "3 h 07 m");
}

std::string time_text(std::chrono::system_clock::time_point time) {
  fmt::memory_buffer out;
  append_time(out, time);
  return fmt::to_string(out);
}

TEST(Text, TimesAreUtc) {
  using std::chrono::sys_days;
  EXPECT_EQ(time_text({}), "1970-01-01T00:00:00.000000Z");
  const auto day = sys_days{std::chrono::year{2028} / 2 / 29};
  EXPECT_EQ(time_text(day + 23h + 59min + 58s + 1us), "2028-02-29T23:59:58.000001Z");
}

TEST(Text, AddressesAsElsewhere) {
  for (const char* text : {"0.0.0.0", "192.0.2.255", "::", "2001:db8::1", "fe80::1:2:3:4"}) {
    fmt::memory_buffer out;
    append_address(out, wire::parse_ip(text).value());
    EXPECT_EQ(fmt::to_string(out), text);
  }
}

}  // namespace
}  // namespace sluice::telemetry
