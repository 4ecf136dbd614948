#include "host/ping_socket.h"

#include <gtest/gtest.h>

#include <array>

#include "unit/sys/fake_kernel.h"
#include "unit/sys/loopback.h"

namespace sluice::host {
namespace {

TEST(PingSocketFake, ForbiddenByTheSystem) {
  sys::FakeKernel kernel;
  kernel.script("socket", -1, EACCES);
  EXPECT_FALSE(ping_permitted(kernel, wire::IpFamily::kV4));
  kernel.script("socket", -1, EPERM);
  EXPECT_EQ(PingSocket::open(kernel, wire::IpFamily::kV6).error(),
            (sys::SysError{sys::SysOp::kSocket, EPERM}));
  EXPECT_TRUE(ping_permitted(kernel, wire::IpFamily::kV4));
}

TEST(PingSocketFake, OneStaleErrorDoesNotLoseTheRequest) {
  sys::FakeKernel kernel;
  auto socket = PingSocket::open(kernel, wire::IpFamily::kV4).value();
  const std::array<std::uint8_t, 8> echo{8};
  kernel.script("sendmsg", -1, EHOSTUNREACH);
  EXPECT_TRUE(socket.send(sys::ip("127.0.0.1"), echo).value());
  kernel.script("sendmsg", -1, EAGAIN);
  EXPECT_FALSE(socket.send(sys::ip("127.0.0.1"), echo).value());
}

// In a namespace whose ping_group_range is ours to open. Returns the line that failed, or 0.
int ping_loopback(wire::IpFamily family) {
  const UniqueFd range(::open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY | O_CLOEXEC));
  if (::write(range.get(), "0 0", 3) != 3) return sys::kNotPermitted;
  auto socket = PingSocket::open(sys::real_kernel(), family);
  if (!socket) return sys::kNotPermitted;
  const bool v4 = family == wire::IpFamily::kV4;
  std::array<std::uint8_t, 12> echo{static_cast<std::uint8_t>(v4 ? 8 : 128)};
  echo[7] = 42;  // Sequence number.
  if (!socket->send(sys::loopback_of(family), echo, 9).value_or(false)) return 1;
  if (!sys::wait_for(socket->fd(), POLLIN)) return 2;
  std::array<std::uint8_t, 64> answer{};
  const auto reply = socket->receive(answer);
  if (!reply || !*reply) return 3;
  if ((*reply)->length != echo.size() || (*reply)->source != sys::loopback_of(family)) return 4;
  if (answer[0] != (v4 ? 0 : 129) || answer[7] != 42) return 5;
  if (((answer[4] << 8) | answer[5]) != socket->identifier().value_or(0)) return 6;
  const auto none = socket->receive(answer);
  return none && !*none ? 0 : 7;
}

class PingSocketReal : public ::testing::TestWithParam<wire::IpFamily> {};

TEST_P(PingSocketReal, EchoOverLoopback) {
  const int status = sys::in_network_namespace([] { return ping_loopback(GetParam()); });
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == sys::kNotPermitted) GTEST_SKIP() << "no namespace with ping sockets";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

INSTANTIATE_TEST_SUITE_P(Families, PingSocketReal,
                         ::testing::Values(wire::IpFamily::kV4, wire::IpFamily::kV6));

}  // namespace
}  // namespace sluice::host
