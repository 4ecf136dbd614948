#include "sys/socket_options.h"

#include <gtest/gtest.h>
#include <netinet/tcp.h>

#include "sys/sockaddr.h"
#include "unit/sys/fake_kernel.h"
#include "unit/sys/loopback.h"

namespace sluice::sys {
namespace {

TEST(TcpInfoFake, AFailedCallIsTold) {
  FakeKernel kernel;
  kernel.script("getsockopt", -1, ENOTCONN);
  const auto info = read_tcp_info(kernel, 7);
  ASSERT_FALSE(info.has_value());
  EXPECT_EQ(info.error(), (SysError{SysOp::kGetSockOpt, ENOTCONN}));
}

// The state is the first byte.
TEST(TcpInfoFake, EstablishedIsWhoseOwnSideIsOpen) {
  for (int state = TCP_ESTABLISHED; state <= TCP_CLOSING; ++state) {
    FakeKernel kernel;
    kernel.script_value(state);
    EXPECT_EQ(read_tcp_info(kernel, 7)->established,
              state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT)
        << state;
  }
}

TEST(TcpInfoReal, CountsWhatCame) {
  const KernelFd listener(real_kernel(), ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  SocketAddress address = to_sockaddr({ip("127.0.0.1"), wire::Port{0}});
  ASSERT_EQ(::bind(listener.get(), address.get(), address.length), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_FALSE(read_tcp_info(real_kernel(), listener.get())->established);
  ASSERT_EQ(::getsockname(listener.get(), address.get(), &address.length), 0);
  const KernelFd client(real_kernel(), ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::connect(client.get(), address.get(), address.length), 0);
  KernelFd served(real_kernel(), ::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_EQ(::send(client.get(), "12345", 5, 0), 5);
  ASSERT_TRUE(wait_for(served.get(), POLLIN));
  const auto info = read_tcp_info(real_kernel(), served.get());
  ASSERT_TRUE(info.has_value());
  EXPECT_TRUE(info->established);
  EXPECT_EQ(info->bytes_received, 5U);
  EXPECT_GE(info->segments_in, 2U);  // The handshake's last and the bytes.
  EXPECT_EQ(info->unanswered_probes, 0U);
}

}  // namespace
}  // namespace sluice::sys
