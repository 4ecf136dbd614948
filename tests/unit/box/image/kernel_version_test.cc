#include "box/image/kernel_version.h"

#include <gtest/gtest.h>

#include "unit/box/image/scratch_folder.h"

namespace sluice::box {
namespace {

std::string version_of(const std::string& file) {
  return version_of_kernel({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()});
}

TEST(KernelVersion, IsReadFromBothKinds) {
  EXPECT_EQ(version_of(fake_bzimage("6.1.0-56-cloud-amd64")), "6.1.0-56-cloud-amd64");
  using namespace std::string_literals;
  EXPECT_EQ(version_of("\x7f"
                       "ELF\2\1\1 Linux version %s Linux version 6.12.3-us (x@y) \0"s),
            "6.12.3-us");
}

TEST(KernelVersion, IsAFileNameOrNothing) {
  EXPECT_EQ(version_of(fake_bzimage("../../etc")), "");
  EXPECT_EQ(version_of(fake_bzimage(std::string(70, '6'))), "");
  EXPECT_EQ(version_of(fake_bzimage("6.1").substr(0, 0x282)), "") << "cut within it";
  EXPECT_EQ(version_of(fake_bzimage("6.1").substr(0, 0x206)), "");
  EXPECT_EQ(version_of("\x7f"
                       "ELF without"),
            "");
  EXPECT_EQ(version_of("#!/bin/sh\n"), "");
  EXPECT_EQ(version_of(""), "");
}

}  // namespace
}  // namespace sluice::box
