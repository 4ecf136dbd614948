#include "link/shared/seat.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>

#include "base/unique_fd.h"

namespace sluice::link {
namespace {

class SeatTest : public ::testing::Test {
 protected:
  SeatTest() : seat(Seat::open(sys::real_kernel()).value()) {}

  [[nodiscard]] bool readable() const {
    pollfd poll{.fd = seat.fd(), .events = POLLIN, .revents = 0};
    return ::poll(&poll, 1, 0) == 1;
  }
  [[nodiscard]] std::vector<std::uint64_t> take() {
    std::array<epoll_event, 8> room;
    std::vector<std::uint64_t> found;
    for (const epoll_event& event : seat.take(room)) {
      const std::uint64_t what = event.data.u64;  // A copy: the structure is packed.
      found.push_back(what);
    }
    return found;
  }

  Seat seat;
};

TEST_F(SeatTest, NothingIsThereAtFirst) {
  EXPECT_FALSE(readable());
  EXPECT_TRUE(take().empty());
}

TEST_F(SeatTest, EachWakeIsAnEventThatNobodyNeedsToRead) {
  for (int i = 0; i < 3; ++i) {
    seat.wake();
    EXPECT_TRUE(readable());
    EXPECT_EQ(take(), std::vector{Seat::kWake});
    EXPECT_FALSE(readable());
  }
}

TEST_F(SeatTest, ARingsKickIsAnEventOfItsNumber) {
  const UniqueFd kick(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  ASSERT_TRUE(seat.watch_ring(3, kick.get()));
  const std::uint64_t one = 1;
  ASSERT_EQ(::write(kick.get(), &one, sizeof one), 8);
  EXPECT_EQ(take(), std::vector{Seat::kRings + 3});
  seat.unwatch(kick.get());
  ASSERT_EQ(::write(kick.get(), &one, sizeof one), 8);
  EXPECT_TRUE(take().empty());
}

TEST_F(SeatTest, StaysAwakeUntilItIsTold) {
  seat.set_awake(true);
  seat.set_awake(true);
  EXPECT_EQ(take(), std::vector{Seat::kWake});
  EXPECT_TRUE(readable());
  seat.set_awake(false);
  EXPECT_FALSE(readable());
}

}  // namespace
}  // namespace sluice::link
