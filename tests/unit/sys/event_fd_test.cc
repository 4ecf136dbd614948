#include "sys/event_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <cstdint>

namespace sluice::sys {
namespace {

bool is_readable(int fd) {
  pollfd watched{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&watched, 1, 0) == 1;
}

TEST(EventFd, IsReadableFromTheFirstRingUntilItIsDrained) {
  const UniqueFd bell = open_event_fd();
  ASSERT_TRUE(bell.valid());
  EXPECT_FALSE(is_readable(bell.get()));
  ring(real_kernel(), bell.get());
  ring(real_kernel(), bell.get());
  EXPECT_TRUE(is_readable(bell.get()));
  EXPECT_TRUE(drain(real_kernel(), bell.get()));
  EXPECT_FALSE(is_readable(bell.get()));
  EXPECT_FALSE(drain(real_kernel(), bell.get()));
}

TEST(EventFd, NeverWaitsWhenItsCounterIsFull) {
  const UniqueFd bell = open_event_fd();
  const std::uint64_t full = UINT64_MAX - 1;
  ASSERT_EQ(real_kernel().write(bell.get(), &full, sizeof full), 8);
  ring(real_kernel(), bell.get());
  EXPECT_TRUE(drain(real_kernel(), bell.get()));
}

TEST(EventFd, IsClosedOnExec) {
  const UniqueFd bell = open_event_fd();
  EXPECT_NE(::fcntl(bell.get(), F_GETFD) & FD_CLOEXEC, 0);
}

}  // namespace
}  // namespace sluice::sys
