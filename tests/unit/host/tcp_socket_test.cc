#include "host/tcp_socket.h"

#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/mman.h>

#include <array>
#include <string>

#include "host/listener.h"
#include "unit/sys/fake_kernel.h"
#include "unit/sys/loopback.h"

namespace sluice::host {
namespace {

const wire::Endpoint kTarget{sys::ip("127.0.0.1"), wire::Port{80}};

iovec part_of(const std::string& text) {
  return {.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
}

TEST(TcpSocketFake, ConnectInProgressIsNoError) {
  sys::FakeKernel kernel;
  kernel.script("connect", -1, EINPROGRESS);
  const auto socket = TcpSocket::connect(kernel, kTarget);
  ASSERT_TRUE(socket.has_value());
  EXPECT_NE(kernel.last("socket")->second & (SOCK_NONBLOCK | SOCK_CLOEXEC), 0);
  EXPECT_EQ(kernel.last("connect")->second, AF_INET);
}

TEST(TcpSocketFake, FailedConnectClosesAndNamesTheCall) {
  sys::FakeKernel kernel;
  kernel.script("connect", -1, ENETUNREACH);
  const auto socket = TcpSocket::connect(kernel, kTarget);
  ASSERT_FALSE(socket.has_value());
  EXPECT_EQ(socket.error(), (sys::SysError{sys::SysOp::kConnect, ENETUNREACH}));
  EXPECT_EQ(kernel.closed, std::vector<int>{1000});
}

TEST(TcpSocketFake, DescriptorsExhausted) {
  sys::FakeKernel kernel;
  kernel.script("socket", -1, EMFILE);
  const auto socket = TcpSocket::connect(kernel, kTarget);
  ASSERT_FALSE(socket.has_value());
  EXPECT_TRUE(sys::is_exhaustion(socket.error().error));
}

TEST(TcpSocketFake, SendShortFullAndBroken) {
  sys::FakeKernel kernel;
  auto socket = TcpSocket::connect(kernel, kTarget).value();
  const std::string text = "hello";
  const std::array parts{part_of(text), part_of(text)};
  kernel.script("sendmsg", 3);
  kernel.script("sendmsg", -1, EAGAIN);
  kernel.script("sendmsg", -1, EINTR);
  kernel.script("sendmsg", -1, EPIPE);
  EXPECT_EQ(socket.send(parts).value(), 3U);
  EXPECT_EQ(socket.send(parts).value(), 0U);
  EXPECT_EQ(socket.send(parts).value(), 0U);
  EXPECT_EQ(socket.send(parts).error(), (sys::SysError{sys::SysOp::kSend, EPIPE}));
  EXPECT_EQ(socket.send(parts).value(), 10U);
  EXPECT_NE(kernel.last("sendmsg")->second & MSG_NOSIGNAL, 0);
}

TEST(TcpSocketFake, ReadTellsDataBlockEndAndError) {
  sys::FakeKernel kernel;
  auto socket = TcpSocket::connect(kernel, kTarget).value();
  std::string room(16, '\0');
  const std::array parts{part_of(room)};
  kernel.script_data("abc");
  EXPECT_EQ(socket.peek(parts).value(), (sys::ReadResult{sys::ReadStatus::kData, 3}));
  EXPECT_NE(kernel.last("recvmsg")->second & MSG_PEEK, 0);
  EXPECT_EQ(socket.read(parts).value(), (sys::ReadResult{sys::ReadStatus::kWouldBlock, 0}));
  kernel.script("recvmsg", 0);
  EXPECT_EQ(socket.read(parts).value(), (sys::ReadResult{sys::ReadStatus::kEndOfStream, 0}));
  kernel.script("recvmsg", -1, ECONNRESET);
  EXPECT_EQ(socket.read(parts).error(), (sys::SysError{sys::SysOp::kReceive, ECONNRESET}));
}

TEST(TcpSocketFake, ResetLingersZeroSecondsThenCloses) {
  sys::FakeKernel kernel;
  auto socket = TcpSocket::connect(kernel, kTarget).value();
  socket.reset();
  EXPECT_EQ(kernel.last("setsockopt")->second, SO_LINGER);
  EXPECT_EQ(kernel.closed, std::vector<int>{1000});
  EXPECT_FALSE(socket.valid());
}

TEST(TcpSocketFake, OneThatIsForgottenLingersASecond) {
  sys::FakeKernel kernel;
  auto socket = TcpSocket::connect(kernel, kTarget).value();
  socket.close_and_forget();
  EXPECT_EQ(kernel.last("setsockopt")->second, TCP_LINGER2);
  EXPECT_EQ(kernel.closed, std::vector<int>{1000});
}

class TcpSocketReal : public ::testing::TestWithParam<wire::IpFamily> {
 protected:
  void SetUp() override {
    auto opened =
        TcpListener::open(sys::real_kernel(), {sys::loopback_of(GetParam()), wire::Port{0}});
    if (!opened) GTEST_SKIP() << "no loopback of this family: " << opened.error().describe();
    listener = std::move(*opened);
    endpoint = listener.local_endpoint().value();
    client = TcpSocket::connect(sys::real_kernel(), endpoint).value();
    ASSERT_TRUE(sys::wait_for(client.fd(), POLLOUT));
    ASSERT_TRUE(client.connect_result().has_value());
    ASSERT_TRUE(sys::wait_for(listener.fd(), POLLIN));
    auto accepted = listener.accept().value();
    ASSERT_TRUE(accepted.has_value());
    EXPECT_EQ(accepted->peer, client.local_endpoint().value());
    server = std::move(accepted->socket);
  }

  TcpListener listener;
  wire::Endpoint endpoint;
  TcpSocket client;
  TcpSocket server;
  std::string room = std::string(64, '\0');
};

TEST_P(TcpSocketReal, PeekDiscardAndHalfClose) {
  const std::string text = "0123456789";
  ASSERT_EQ(client.send(std::array{part_of(text)}).value(), 10U);
  ASSERT_TRUE(sys::wait_for(server.fd(), POLLIN));
  EXPECT_EQ(server.readable_bytes().value(), 10U);
  const std::array parts{part_of(room)};
  EXPECT_EQ(server.peek(parts).value().bytes, 10U);
  EXPECT_EQ(server.discard(4).value(), 4U);
  EXPECT_EQ(server.read(parts).value().bytes, 6U);
  EXPECT_EQ(room.substr(0, 6), "456789");
  EXPECT_EQ(server.discard(4).value(), 0U);

  ASSERT_TRUE(client.shutdown_write().has_value());
  ASSERT_TRUE(sys::wait_for(server.fd(), POLLIN));
  EXPECT_EQ(server.read(parts).value().status, sys::ReadStatus::kEndOfStream);
  ASSERT_EQ(server.send(std::array{part_of(text)}).value(), 10U);
  ASSERT_TRUE(sys::wait_for(client.fd(), POLLIN));
  EXPECT_EQ(client.read(parts).value().bytes, 10U);
}

TEST_P(TcpSocketReal, PeekOffsetMovesOnAndDiscardLowersIt) {
  if (!peek_offset_supported(sys::real_kernel(), GetParam()))
    GTEST_SKIP() << "no SO_PEEK_OFF for TCP";
  const std::string text = "0123456789";
  ASSERT_TRUE(server.set_peek_offset(0).has_value());
  ASSERT_EQ(client.send(std::array{part_of(text)}).value(), 10U);
  ASSERT_TRUE(sys::wait_for(server.fd(), POLLIN));
  const std::array four{iovec{.iov_base = room.data(), .iov_len = 4}};
  EXPECT_EQ(server.peek(four).value().bytes, 4U);
  EXPECT_EQ(server.peek(four).value().bytes, 4U);
  EXPECT_EQ(room.substr(0, 4), "4567");
  EXPECT_EQ(server.discard(8).value(), 8U);
  EXPECT_EQ(server.peek(four).value().bytes, 2U);
  EXPECT_EQ(room.substr(0, 2), "89");
}

TEST_P(TcpSocketReal, ResetIsSeenAsReset) {
  client.reset();
  ASSERT_TRUE(sys::wait_for(server.fd(), POLLIN));
  const std::array parts{part_of(room)};
  EXPECT_EQ(server.read(parts).error(), (sys::SysError{sys::SysOp::kReceive, ECONNRESET}));
}

TEST_P(TcpSocketReal, ADeafOneAnswersNothing) {
  server.set_deaf(true);
  ASSERT_EQ(client.send(std::array{part_of(std::string("hello?"))}).value(), 6U);
  EXPECT_FALSE(sys::wait_for(server.fd(), POLLIN, 300));
  EXPECT_EQ(client.unacknowledged_bytes().value(), 6U);
  server.set_deaf(false);
  ASSERT_TRUE(sys::wait_for(server.fd(), POLLIN));  // As it is sent again.
  EXPECT_EQ(server.readable_bytes().value(), 6U);
}

TEST_P(TcpSocketReal, ADeafOneHearsAReset) {
  server.set_deaf(true);
  client.reset();
  ASSERT_TRUE(sys::wait_for(server.fd(), POLLHUP));
  EXPECT_EQ(server.connect_result().error().error, ECONNRESET);
}

TEST_P(TcpSocketReal, AGuardedOneThatNobodyClosesIsReset) {
  client.guard();
  ASSERT_TRUE(client.send(std::array{part_of(std::string("half of it"))}).has_value());
  {
    const TcpSocket gone = std::move(client);
  }  // As when the process dies.
  ASSERT_TRUE(sys::wait_for(server.fd(), POLLHUP));
  EXPECT_FALSE(server.connect_result().has_value());
}

TEST_P(TcpSocketReal, AGuardedOneIsClosedInTheOrdinaryWay) {
  client.guard();
  client.close();
  ASSERT_TRUE(sys::wait_for(server.fd(), POLLIN));
  const std::array parts{part_of(room)};
  EXPECT_EQ(server.read(parts).value().status, sys::ReadStatus::kEndOfStream);
}

TEST_P(TcpSocketReal, TheGuardEndsWithTheStream) {
  client.guard();
  ASSERT_TRUE(client.shutdown_write().has_value());
  EXPECT_FALSE(client.guarded());
  {
    const TcpSocket gone = std::move(client);
  }
  ASSERT_TRUE(sys::wait_for(server.fd(), POLLIN));
  const std::array parts{part_of(room)};
  EXPECT_EQ(server.read(parts).value().status, sys::ReadStatus::kEndOfStream);
  EXPECT_TRUE(server.connect_result().has_value());
}

TEST_P(TcpSocketReal, FullSendBufferIsZeroAndCounted) {
  const std::string block(65536, 'x');
  std::size_t total = 0;
  while (true) {
    const std::size_t sent = client.send(std::array{part_of(block)}).value();
    if (sent == 0) break;
    total += sent;
  }
  const std::size_t unacknowledged = client.unacknowledged_bytes().value();
  EXPECT_GT(unacknowledged, 0U);
  EXPECT_LE(unacknowledged, total);
  EXPECT_GT(client.send_buffer_size().value(), 0U);
}

// What TcpIo counts on, of memory that another process shares with us and then cuts short.
TEST_P(TcpSocketReal, MemoryThatIsGoneIsAnErrorAndNoSignal) {
  const UniqueFd file(::memfd_create("guest", MFD_CLOEXEC));
  constexpr std::size_t kSize = 64 * 1024;
  ASSERT_EQ(::ftruncate(file.get(), kSize), 0);
  void* const mapped = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  ASSERT_EQ(::ftruncate(file.get(), 0), 0);
  const std::array parts{iovec{.iov_base = mapped, .iov_len = kSize}};
  const auto sent = client.send(parts);
  ASSERT_FALSE(sent.has_value());
  EXPECT_EQ(sent.error(), (sys::SysError{sys::SysOp::kSend, EFAULT}));
  ::munmap(mapped, kSize);
}

TEST_P(TcpSocketReal, RefusedConnectIsToldByConnectResult) {
  listener.close();
  auto refused = TcpSocket::connect(sys::real_kernel(), endpoint);
  if (refused) {
    ASSERT_TRUE(sys::wait_for(refused->fd(), POLLOUT));
    EXPECT_EQ(refused->connect_result().error(),
              (sys::SysError{sys::SysOp::kConnect, ECONNREFUSED}));
  } else {
    EXPECT_EQ(refused.error(), (sys::SysError{sys::SysOp::kConnect, ECONNREFUSED}));
  }
}

INSTANTIATE_TEST_SUITE_P(Families, TcpSocketReal,
                         ::testing::Values(wire::IpFamily::kV4, wire::IpFamily::kV6));

}  // namespace
}  // namespace sluice::host
