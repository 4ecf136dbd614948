#include "box/boot/command_line.h"

#include <gtest/gtest.h>

namespace sluice::box {
namespace {

TEST(CommandLine, APanicEndsTheMachine) {
  EXPECT_NE(command_line({}).find(" panic=-1 "), std::string::npos);
  EXPECT_NE(command_line({}).find(" reboot=acpi "), std::string::npos);
}

TEST(CommandLine, IsQuietUnlessAllWordsAreWanted) {
  EXPECT_TRUE(command_line({}).starts_with("quiet console="));
  EXPECT_EQ(command_line({.words = KernelWords::kAll}).find("quiet"), std::string::npos);
}

TEST(CommandLine, WhatIsAddedHasTheLastWord) {
  EXPECT_TRUE(command_line({.extra = "nokaslr"}).ends_with(" nokaslr"));
}

}  // namespace
}  // namespace sluice::box
