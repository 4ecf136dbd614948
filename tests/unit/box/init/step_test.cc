#include "box/init/step.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "unit/box/image/scratch_folder.h"

namespace sluice::box {
namespace {

TEST(Step, AFailureHasItsWords) {
  errno = ENODEV;
  const Step failed = step_failed("mount virtiofs", "name another kernel");
  EXPECT_EQ(in_words(failed.error()), "mount virtiofs: No such device; name another kernel");
  EXPECT_EQ(in_words({"alone", 0, ""}), "alone");
}

TEST(Step, DirectoriesAreMadeWithThoseAbove) {
  const ScratchFolder scratch;
  EXPECT_TRUE(make_directories(scratch.path("a/b/c")).has_value());
  EXPECT_TRUE(make_directories(scratch.path("a/b/c")).has_value());
  EXPECT_TRUE(std::filesystem::is_directory(scratch.path("a/b/c")));
  scratch.file("file", "");
  const Step failed = make_directories(scratch.path("file/x"));
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().error, ENOTDIR);
}

TEST(Step, SettingsAreWrittenAndRead) {
  const ScratchFolder scratch;
  scratch.file("setting", "old\n");
  EXPECT_TRUE(write_setting(scratch.path("setting"), "new").has_value());
  EXPECT_EQ(read_line(scratch.path("setting")), "new");
  EXPECT_EQ(read_line(scratch.path("absent")), "");
  EXPECT_FALSE(write_setting(scratch.path("absent"), "1").has_value());
}

}  // namespace
}  // namespace sluice::box
