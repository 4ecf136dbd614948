#include "box/image/file_bytes.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "unit/box/image/scratch_folder.h"

namespace sluice::box {
namespace {

TEST(FileBytes, AreAllOfThem) {
  const ScratchFolder scratch;
  const std::string text(100'000, 'x');
  scratch.file("some", text);
  EXPECT_EQ(read_text(scratch.path("some")), text);
  scratch.file("none", "");
  EXPECT_EQ(read_file(scratch.path("none")), std::vector<std::uint8_t>());
}

TEST(FileBytes, WhatCannotBeReadSaysWhy) {
  const ScratchFolder scratch;
  scratch.file("some", "more than that");
  EXPECT_EQ(read_file(scratch.path("absent")).error(), ENOENT);
  EXPECT_EQ(read_file(scratch.path()).error(), EISDIR);
  EXPECT_EQ(read_file("/dev/zero").error(), EINVAL);
  EXPECT_EQ(read_file(scratch.path("some"), 3).error(), EFBIG);
}

}  // namespace
}  // namespace sluice::box
