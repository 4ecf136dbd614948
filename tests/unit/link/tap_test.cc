#include "link/tap.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace sluice::link {
namespace {

constexpr int kNotPermitted = 77;

// Runs `body` in a network namespace of its own and returns its exit code.
int in_network_namespace(const std::function<int()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    const int flags = CLONE_NEWNET | (::geteuid() == 0 ? 0 : CLONE_NEWUSER);
    const bool permitted = ::unshare(flags) == 0 && ::access("/dev/net/tun", R_OK | W_OK) == 0;
    ::_exit(permitted ? body() : kNotPermitted);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(TapFeatures, PackAndUnpack) {
  for (unsigned bits = 0; bits < 32; ++bits) {
    const TapFeatures features{.vnet_header_size = static_cast<std::uint8_t>(bits == 0 ? 0 : 12),
                               .checksum = (bits & 1U) != 0,
                               .tso4 = (bits & 2U) != 0,
                               .tso6 = (bits & 4U) != 0,
                               .tso_ecn = (bits & 8U) != 0,
                               .uso = (bits & 16U) != 0};
    EXPECT_EQ(TapFeatures::unpack(features.pack()), features);
  }
}

TEST(OpenTap, RefusesNamesTheKernelWouldRefuseOrExpand) {
  for (const char* name : {"", "a/b", "a b", "tap%d", "a:b", ".", "..", "sixteen_bytes_xx"}) {
    const auto tap = open_tap(name);
    ASSERT_FALSE(tap.has_value()) << name;
    EXPECT_EQ(tap.error().step, "interface name") << name;
    EXPECT_FALSE(tap.error().hint.empty());
  }
}

TEST(OpenTap, TellsHowToMendTheDevice) {
  EXPECT_EQ(setup_error_of(TapStep::kOpenDevice, EACCES).describe(),
            "/dev/net/tun: Permission denied; as root run: chmod 666 /dev/net/tun");
  EXPECT_NE(setup_error_of(TapStep::kOpenDevice, ENOENT).hint.find("modprobe tun"),
            std::string::npos);
}

TEST(OpenTap, GrantsHeadersAndOffloads) {
  const int code = in_network_namespace([] {
    const auto tap = open_tap("tap7");
    if (!tap) return 1;
    if (tap->name != "tap7" || ::if_nametoindex("tap7") == 0) return 2;
    if (tap->queues.size() != 1) return 3;
    const int fd = tap->queues.front().get();
    if ((::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0) return 4;
    if ((::fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0) return 5;
    // Any kernel of the last ten years has these.
    const TapFeatures& features = tap->features;
    if (features.vnet_header_size != 12 || !features.checksum) return 6;
    return features.tso4 && features.tso6 ? 0 : 7;
  });
  if (code == kNotPermitted) GTEST_SKIP() << "no namespace, or no access to /dev/net/tun";
  EXPECT_EQ(code, 0);
}

TEST(OpenTap, PlainFramesAndNameTaken) {
  const int code = in_network_namespace([] {
    const auto tap = open_tap("tap7", {.vnet_header = false});
    if (!tap || tap->features != TapFeatures{}) return 1;
    const auto again = open_tap("tap7", {.vnet_header = false});
    if (again || again.error().step != "/dev/net/tun: create a tap interface") return 2;
    return again.error().error == EBUSY && !again.error().hint.empty() ? 0 : 3;
  });
  if (code == kNotPermitted) GTEST_SKIP() << "no namespace, or no access to /dev/net/tun";
  EXPECT_EQ(code, 0);
}

TEST(OpenTap, SeveralQueues) {
  const int code = in_network_namespace([] {
    const auto tap = open_tap("tap7", {.queues = 4});
    return tap && tap->queues.size() == 4 && tap->features.checksum ? 0 : 1;
  });
  if (code == kNotPermitted) GTEST_SKIP() << "no namespace, or no access to /dev/net/tun";
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace sluice::link
