#include "serve/namespace/tap_guest.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "link/tap.h"
#include "unit/sys/loopback.h"

namespace sluice::serve {
namespace {

TEST(TapGuest, ItsLinkIsTheTapThatWasGiven) {
  const int status = sys::in_network_namespace([] {
    if (::access("/dev/net/tun", R_OK | W_OK) != 0) return sys::kNotPermitted;
    auto tap = link::open_tap("tap7");
    if (!tap) return 1;
    bool told = false;
    TapGuest guest({.tap = std::move(tap->queues.front()), .ready = [&told] { told = true; }});
    const auto ends = guest.await(sys::real_kernel());
    if (!ends || ends->links.size() != 1 || !ends->agents.empty()) return 2;
    if (told || !guest.start() || !told) return 3;
    return guest.exit_status() || !guest.goes_on() ? 4 : 0;
  });
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == sys::kNotPermitted) GTEST_SKIP() << "no namespace, or no /dev/net/tun";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(TapGuest, WhatIsNoTapIsSaid) {
  TapGuest guest({.tap = UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC))});
  const auto ends = guest.await(sys::real_kernel());
  ASSERT_FALSE(ends.has_value());
  EXPECT_EQ(ends.error().step, "take the descriptor of a tap");
}

TEST(TapGuest, ItEndsWhenItIsToldTo) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const UniqueFd held(pipe[1]);
  TapGuest guest({.until = UniqueFd(pipe[0])});
  EXPECT_EQ(guest.descriptors(), std::vector{pipe[0]});
  EXPECT_FALSE(guest.exit_status().has_value());
  guest.on_ready(0);
  EXPECT_EQ(guest.exit_status(), 0);
  EXPECT_EQ(guest.descriptors(), std::vector{-1});

  TapGuest deleted({});
  EXPECT_EQ(deleted.descriptors(), std::vector{-1});
  deleted.on_link_gone();
  EXPECT_EQ(deleted.exit_status(), 0);
}

}  // namespace
}  // namespace sluice::serve
