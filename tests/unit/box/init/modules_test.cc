#include "box/init/modules.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "unit/box/image/scratch_folder.h"

namespace sluice::box {
namespace {

TEST(Modules, LinesAreNames) {
  EXPECT_EQ(lines_of("00-a.ko\n\n01-b.ko.xz"), (std::vector<std::string>{"00-a.ko", "01-b.ko.xz"}));
  EXPECT_TRUE(lines_of("").empty());
}

TEST(Modules, AKernelMayNeedNone) {
  const ScratchFolder scratch;
  EXPECT_TRUE(load_modules(scratch.path()).has_value());
}

TEST(Modules, OneThatIsMissingIsNamed) {
  const ScratchFolder scratch;
  scratch.file("order", "00-absent.ko\n");
  const Step done = load_modules(scratch.path());
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().error, ENOENT);
  EXPECT_NE(done.error().step.find("00-absent.ko"), std::string::npos);
}

}  // namespace
}  // namespace sluice::box
