#include "serve/given_front_end.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>

#include "base/unique_fd.h"

namespace sluice::serve {
namespace {

TEST(GivenFrontEnd, IsTheOnlyOne) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
  const UniqueFd theirs(ends[1]);
  GivenFrontEnd given(sys::KernelFd(sys::real_kernel(), ends[0]));
  EXPECT_EQ(given.descriptor(), ends[0]);
  const auto taken = given.take();
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->get(), ends[0]);
  EXPECT_FALSE(given.take());
  EXPECT_EQ(given.descriptor(), ends[0]);
}

}  // namespace
}  // namespace sluice::serve
