#include "host/tcp_info.h"

#include <gtest/gtest.h>
#include <netinet/tcp.h>

#include "sys/sockaddr.h"
#include "unit/sys/fake_kernel.h"
#include "unit/sys/loopback.h"

namespace sluice::host {
namespace {

TEST(TcpInfoFake, AFailedCallIsTold) {
  sys::FakeKernel kernel;
  kernel.script("getsockopt", -1, ENOTCONN);
  const auto info = read_tcp_info(kernel, 7);
  ASSERT_FALSE(info.has_value());
  EXPECT_EQ(info.error(), (sys::SysError{sys::SysOp::kGetSockOpt, ENOTCONN}));
}

// The state is the first byte.
TEST(TcpInfoFake, EstablishedIsWhoseOwnSideIsOpen) {
  for (int state = TCP_ESTABLISHED; state <= TCP_CLOSING; ++state) {
    sys::FakeKernel kernel;
    kernel.script_value(state);
    EXPECT_EQ(read_tcp_info(kernel, 7)->established,
              state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT)
        << state;
  }
}

TEST(TcpInfoReal, CountsWhatCame) {
  const sys::KernelFd listener(sys::real_kernel(),
                               ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sys::SocketAddress address = sys::to_sockaddr({sys::ip("127.0.0.1"), wire::Port{0}});
  ASSERT_EQ(::bind(listener.get(), address.get(), address.length), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_FALSE(read_tcp_info(sys::real_kernel(), listener.get())->established);
  ASSERT_EQ(::getsockname(listener.get(), address.get(), &address.length), 0);
  const sys::KernelFd client(sys::real_kernel(), ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::connect(client.get(), address.get(), address.length), 0);
  sys::KernelFd served(sys::real_kernel(),
                       ::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_EQ(::send(client.get(), "12345", 5, 0), 5);
  ASSERT_TRUE(sys::wait_for(served.get(), POLLIN));
  const auto info = read_tcp_info(sys::real_kernel(), served.get());
  ASSERT_TRUE(info.has_value());
  EXPECT_TRUE(info->established);
  EXPECT_EQ(info->bytes_received, 5U);
  EXPECT_GE(info->segments_in, 2U);  // The handshake's last and the bytes.
  EXPECT_EQ(info->unanswered_probes, 0U);
}

}  // namespace
}  // namespace sluice::host
