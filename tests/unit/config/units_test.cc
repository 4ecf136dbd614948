#include "config/units.h"

#include <gtest/gtest.h>

namespace sluice::config {
namespace {

using namespace std::chrono_literals;

TEST(Units, ReadsDurations) {
  EXPECT_EQ(parse_duration("90"), Duration{90s});
  EXPECT_EQ(parse_duration("0"), Duration{});
  EXPECT_EQ(parse_duration("500ms"), Duration{500ms});
  EXPECT_EQ(parse_duration("250us"), Duration{250us});
  EXPECT_EQ(parse_duration("5s"), Duration{5s});
  EXPECT_EQ(parse_duration("10m"), Duration{10min});
  EXPECT_EQ(parse_duration("1h"), Duration{1h});
  EXPECT_EQ(parse_duration("2d"), Duration{48h});
  EXPECT_EQ(parse_duration("5 s"), Duration{5s});
  EXPECT_EQ(parse_duration("3650d"), kDurationMax);
}

TEST(Units, RefusesWhatIsNoDuration) {
  for (const char* text : {"", "s", "-1", "+1", "1.5s", "5 fortnights", "5S", "5sx", " 5", "3651d",
                           "99999999999999999999", "18446744073709551615h"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Units, ReadsSizes) {
  EXPECT_EQ(parse_size("4096"), 4096u);
  EXPECT_EQ(parse_size("64KiB"), 65'536u);
  EXPECT_EQ(parse_size("64k"), 65'536u);
  EXPECT_EQ(parse_size("64kB"), 64'000u);
  EXPECT_EQ(parse_size("10MB"), 10'000'000u);
  EXPECT_EQ(parse_size("10MiB/s"), 10'485'760u);
  EXPECT_EQ(parse_size("1 GB"), 1'000'000'000u);
  EXPECT_EQ(parse_size("2tib"), 2'199'023'255'552u);
  EXPECT_EQ(parse_size("7B"), 7u);
}

TEST(Units, RefusesWhatIsNoSize) {
  for (const char* text : {"", "KiB", "-1", "1.5MB", "10 miles", "10MBs", "20000000TB", "/s"}) {
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
  }
}

TEST(Units, WritesWhatReadsBack) {
  EXPECT_EQ(format_duration({}), "0s");
  EXPECT_EQ(format_duration(72s), "72s");
  EXPECT_EQ(format_duration(600s), "10m");
  EXPECT_EQ(format_duration(48h), "2d");
  EXPECT_EQ(format_duration(1500ms), "1500ms");
  EXPECT_EQ(format_size(0), "0B");
  EXPECT_EQ(format_size(65'536), "64KiB");
  EXPECT_EQ(format_size(1'000'000'000), "1GB");
  EXPECT_EQ(format_size(1001), "1001B");
  for (const std::uint64_t bytes : {1ULL, 1000ULL, 1024ULL, 1'048'576ULL, 123'456'789ULL}) {
    EXPECT_EQ(parse_size(format_size(bytes)), bytes);
  }
  for (const Duration duration : {Duration{250us}, Duration{1ms}, Duration{61s}, Duration{25h}}) {
    EXPECT_EQ(parse_duration(format_duration(duration)), duration);
  }
}

}  // namespace
}  // namespace sluice::config
