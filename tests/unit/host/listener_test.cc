#include "host/listener.h"

#include <gtest/gtest.h>
#include <netinet/tcp.h>

#include "unit/sys/fake_kernel.h"
#include "unit/sys/loopback.h"

namespace sluice::host {
namespace {

const wire::Endpoint kAny{sys::ip("127.0.0.1"), wire::Port{0}};

TEST(ListenerFake, GivesWhatTheQueueHasAndNothingWhenItIsEmpty) {
  sys::FakeKernel kernel;
  auto listener = TcpListener::open(kernel, kAny).value();
  kernel.script("accept4", -1, ECONNABORTED);
  const auto accepted = listener.accept().value();
  ASSERT_TRUE(accepted.has_value());
  EXPECT_EQ(accepted->peer, (wire::Endpoint{sys::ip("127.0.0.1"), wire::Port{4321}}));
  kernel.script("accept4", -1, EAGAIN);
  EXPECT_FALSE(listener.accept().value().has_value());
  kernel.script("accept4", -1, EMFILE);
  const auto exhausted = listener.accept();
  ASSERT_FALSE(exhausted.has_value());
  EXPECT_EQ(exhausted.error(), (sys::SysError{sys::SysOp::kAccept, EMFILE}));
}

TEST(ListenerReal, PortInUseIsTold) {
  const auto first = TcpListener::open(sys::real_kernel(), kAny).value();
  const auto second = TcpListener::open(sys::real_kernel(), first.local_endpoint().value());
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().error, EADDRINUSE);
}

// What a listener has need not be set for each that it accepts.
TEST(ListenerReal, WhatItAcceptsHasItsOptions) {
  auto listener = TcpListener::open(sys::real_kernel(), kAny,
                                    {.accepted = {.urgent_inline = true, .guarded = true}})
                      .value();
  const auto client =
      TcpSocket::connect(sys::real_kernel(), listener.local_endpoint().value()).value();
  ASSERT_TRUE(sys::wait_for(listener.fd(), POLLIN));
  auto accepted = listener.accept().value();
  ASSERT_TRUE(accepted.has_value());
  TcpSocket& socket = accepted->socket;
  const auto option = [&](int level, int name) {
    int value = 0;
    socklen_t length = sizeof value;
    return ::getsockopt(socket.fd(), level, name, &value, &length) == 0 ? value : -1;
  };
  EXPECT_EQ(option(IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option(SOL_SOCKET, SO_OOBINLINE), 1);
  EXPECT_TRUE(socket.guarded());
  {
    const TcpSocket gone = std::move(socket);
  }  // As when the process dies.
  ASSERT_TRUE(sys::wait_for(client.fd(), POLLHUP));
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(client.fd(), SOL_SOCKET, SO_ERROR, &error, &length);
  EXPECT_EQ(error, ECONNRESET);
}

TEST(ListenerReal, AnAddressThatIsNotTheHostsNeedsToBeAskedFor) {
  for (const char* const address : {"192.0.2.77", "2001:db8::77"}) {
    const wire::Endpoint foreign{sys::ip(address), wire::Port{0}};
    EXPECT_FALSE(TcpListener::open(sys::real_kernel(), foreign).has_value()) << address;
    EXPECT_TRUE(TcpListener::open(sys::real_kernel(), foreign, {.freebind = true}).has_value())
        << address;
  }
}

TEST(ListenerReal, DualStackTakesIpv4) {
  auto listener =
      TcpListener::open(sys::real_kernel(), {sys::ip("::"), wire::Port{0}}, {.dual_stack = true});
  if (!listener) GTEST_SKIP() << "no IPv6: " << listener.error().describe();
  const wire::Port port = listener->local_endpoint().value().port;
  const auto client = TcpSocket::connect(sys::real_kernel(), {sys::ip("127.0.0.1"), port}).value();
  ASSERT_TRUE(sys::wait_for(listener->fd(), POLLIN));
  const auto accepted = listener->accept().value();
  ASSERT_TRUE(accepted.has_value());
  EXPECT_EQ(accepted->peer.address, sys::ip("127.0.0.1"));
}

}  // namespace
}  // namespace sluice::host
