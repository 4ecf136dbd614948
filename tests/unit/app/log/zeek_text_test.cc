#include "app/log/zeek_text.h"

#include <gtest/gtest.h>

#include <array>

namespace sluice::app::zeek {
namespace {

using namespace std::chrono_literals;

TEST(ZeekText, AValueStaysOneField) {
  EXPECT_EQ(field("a\tb\nc\xff"), "a\\x09b\\x0ac\\xff");
  EXPECT_EQ(field(""), "-");
  EXPECT_EQ(field("-"), "\\x2d");
}

TEST(ZeekText, TimesHaveMicroseconds) { EXPECT_EQ(seconds(1'250'001us), "1.250001"); }

TEST(ZeekText, AUidHasElevenDigits) {
  EXPECT_EQ(uid_of(0), "C00000000000");
  EXPECT_EQ(uid_of(63), "C00000000011");
  EXPECT_EQ(uid_of(~0ULL).size(), 12u);
}

TEST(ZeekText, AHeadEndsItsLastLine) {
  const std::array fields{Field{"ts", "time"}, Field{"n", "count"}};
  EXPECT_TRUE(head("dns", fields).ends_with("#path\tdns\n#fields\tts\tn\n#types\ttime\tcount\n"));
}

}  // namespace
}  // namespace sluice::app::zeek
