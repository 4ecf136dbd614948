#include "box/image/image.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "unit/box/image/scratch_folder.h"

namespace sluice::box {
namespace {

TEST(Image, TheProgramIsAStaticElfFile) {
  const ByteView program = init_program();
  ASSERT_GT(program.size(), 64U);
  EXPECT_EQ(std::string(program.begin() + 1, program.begin() + 4), "ELF");
  Elf64_Ehdr header{};
  std::memcpy(&header, program.data(), sizeof header);
  for (std::size_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    const std::size_t at = header.e_phoff + i * sizeof segment;
    ASSERT_LE(at + sizeof segment, program.size());
    std::memcpy(&segment, program.data() + at, sizeof segment);
    EXPECT_NE(segment.p_type, std::uint32_t{PT_INTERP}) << "it needs a loader";
  }
  EXPECT_LT(program.size(), std::size_t{2} << 20);
}

TEST(Image, BringsTheProgramAndModulesInOrder) {
  const ScratchFolder scratch;
  scratch.file("m/fuse.ko", "fuse's content");
  scratch.file("m/virtiofs.ko", "virtiofs' content");
  const Kernel kernel{.path = "",
                      .bytes = {},
                      .version = "6",
                      .modules = scratch.path("m"),
                      .chosen_modules = {scratch.path("m/fuse.ko"), scratch.path("m/virtiofs.ko")}};
  const auto image = make_image(kernel);
  ASSERT_TRUE(image.has_value()) << image.error().describe();
  const std::string text(image->begin(), image->end());
  const ByteView program = init_program();
  EXPECT_NE(text.find(std::string(program.begin(), program.end())), std::string::npos);
  EXPECT_NE(text.find("00-fuse.ko\n01-virtiofs.ko\n"), std::string::npos);
  EXPECT_NE(text.find("fuse's content"), std::string::npos);
  std::filesystem::remove(scratch.path("m/fuse.ko"));
  const auto failed = make_image(kernel);
  ASSERT_FALSE(failed.has_value());
  EXPECT_NE(failed.error().step.find("fuse.ko"), std::string::npos);
}

TEST(Image, AKernelMayHaveAllBuiltIn) {
  EXPECT_TRUE(make_image({.path = "", .bytes = {}, .version = "6", .modules = ""}).has_value());
}

}  // namespace
}  // namespace sluice::box
