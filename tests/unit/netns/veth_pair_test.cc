#include "netns/veth_pair.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "unit/sys/loopback.h"

namespace sluice::netns {
namespace {

int status_of(const std::function<int()>& body) {
  const int status = sys::in_network_namespace(body);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

ino_t namespace_now() {
  struct stat status{};
  return ::stat("/proc/thread-self/ns/net", &status) == 0 ? status.st_ino : 0;
}

// Any socket keeps the namespace that it was opened in.
std::expected<OpenedLink, sys::SetupError> open_socket(std::uint32_t /*index*/) {
  OpenedLink link;
  link.descriptors.emplace_back(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  link.cookie = 5;
  return link;
}

bool vanishes(const char* name) {
  for (int i = 0; i < 500; ++i) {
    if (::if_nametoindex(name) == 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

TEST(VethPair, TheGuestHasItsEndAndNothingOfTheOther) {
  const int code = status_of([] {
    const ino_t guest = namespace_now();
    bool right = false;
    auto opened = open_by_veth_pair("tap7", [&](std::uint32_t index) {
      right = namespace_now() != guest && ::if_nametoindex("sluice") == index &&
              ::if_nametoindex("tap7") == 0;
      return open_socket(index);
    });
    if (!opened || opened->cookie != 5) return 1;
    if (!right) return 2;
    if (namespace_now() != guest) return 3;
    return ::if_nametoindex("tap7") != 0 && ::if_nametoindex("sluice") == 0 ? 0 : 4;
  });
  if (code == sys::kNotPermitted) GTEST_SKIP() << "no namespace";
  EXPECT_EQ(code, 0);
}

TEST(VethPair, ItGoesWithTheLastSocket) {
  const int code = status_of([] {
    auto opened = open_by_veth_pair("tap7", open_socket);
    if (!opened || ::if_nametoindex("tap7") == 0) return 1;
    opened->descriptors.clear();
    // Whoever comes at once may have to wait for it.
    opened = open_by_veth_pair("tap7", open_socket);
    if (!opened) return 2;
    opened->descriptors.clear();
    return vanishes("tap7") ? 0 : 3;
  });
  if (code == sys::kNotPermitted) GTEST_SKIP() << "no namespace";
  EXPECT_EQ(code, 0);
}

TEST(VethPair, ANameThatIsTakenIsSaid) {
  const int code = status_of([] {
    const auto first = open_by_veth_pair("tap7", open_socket);
    if (!first) return 1;
    const auto second = open_by_veth_pair("tap7", open_socket);
    if (second || second.error().error != EEXIST) return 2;
    return second.error().hint.contains("choose another") ? 0 : 3;
  });
  if (code == sys::kNotPermitted) GTEST_SKIP() << "no namespace";
  EXPECT_EQ(code, 0);
}

TEST(VethPair, WhatFailsBeyondIsPassedOn) {
  const int code = status_of([] {
    const auto opened =
        open_by_veth_pair("tap7", [](std::uint32_t) -> std::expected<OpenedLink, sys::SetupError> {
          return std::unexpected(sys::SetupError{"a step", ENOMEM, "a hint"});
        });
    return !opened && opened.error().step == "a step" ? 0 : 1;
  });
  if (code == sys::kNotPermitted) GTEST_SKIP() << "no namespace";
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace sluice::netns
