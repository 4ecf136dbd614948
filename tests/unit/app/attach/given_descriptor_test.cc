#include "app/attach/given_descriptor.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace sluice::app {
namespace {

TEST(GivenDescriptor, OneThatIsOpenIsOursAndNobodysBehindExec) {
  const int fd = ::open("/dev/null", O_WRONLY);
  ASSERT_GE(fd, 0);
  {
    const auto taken = take_given("--ready-fd", fd);
    ASSERT_TRUE(taken.has_value());
    EXPECT_EQ(taken->get(), fd);
    EXPECT_EQ(::fcntl(fd, F_GETFD), FD_CLOEXEC);
  }
  EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
}

TEST(GivenDescriptor, WithoutANumberThereIsNone) {
  const auto taken = take_given("--ready-fd", std::nullopt);
  ASSERT_TRUE(taken.has_value());
  EXPECT_FALSE(taken->valid());
}

TEST(GivenDescriptor, OneThatIsNotOpenIsAMistake) {
  const auto taken = take_given("--exit-fd", 98'765);
  ASSERT_FALSE(taken.has_value());
  EXPECT_NE(taken.error().text.find("--exit-fd: descriptor 98765 is not open"), std::string::npos);
}

}  // namespace
}  // namespace sluice::app
