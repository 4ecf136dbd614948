#include "box/guest/printable.h"

#include <gtest/gtest.h>

namespace sluice::box {
namespace {

[[nodiscard]] std::string shown(std::string text) {
  make_printable(text);
  return text;
}

TEST(Printable, LeavesWordsOfAnyLanguage) {
  EXPECT_EQ(shown("mount /lower: größer, ≥ 1"), "mount /lower: größer, ≥ 1");
}

TEST(Printable, TakesAwayWhatATerminalObeys) {
  EXPECT_EQ(shown("\x1b[2Jgone\r\n\x7f"), "?[2Jgone???");
  EXPECT_EQ(shown("\xc2\x9b"
                  "2J"),
            "\xc2?2J");
}

}  // namespace
}  // namespace sluice::box
