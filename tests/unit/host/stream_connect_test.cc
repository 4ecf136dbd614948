#include "host/stream_connect.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <string>

#include "base/unique_fd.h"
#include "sys/sockaddr.h"
#include "unit/sys/fake_kernel.h"

namespace sluice::host {
namespace {

wire::Endpoint at(const std::string& address, std::uint16_t port) {
  return {wire::parse_ip(address).value(), wire::Port{port}};
}

// A listener whose queue is empty, and where it is.
struct Listener {
  explicit Listener(const std::string& address) {
    sys::SocketAddress name = sys::to_sockaddr(at(address, 0));
    fd = UniqueFd(::socket(name.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(fd.get(), name.get(), name.length), 0);
    EXPECT_EQ(::listen(fd.get(), 8), 0);
    EXPECT_EQ(::getsockname(fd.get(), name.get(), &name.length), 0);
    endpoint = sys::from_sockaddr(name.storage, name.length).value();
  }
  UniqueFd fd;
  wire::Endpoint endpoint;
};

class StreamConnect : public ::testing::TestWithParam<const char*> {};

TEST_P(StreamConnect, ATargetOfThisMachineHasAnsweredAtOnce) {
  const Listener listener(GetParam());
  const auto started = connect_stream(sys::real_kernel(), listener.endpoint, {});
  ASSERT_TRUE(started);
  EXPECT_EQ(started->progress, ConnectProgress::kEstablished);
}

TEST_P(StreamConnect, ARefusalIsAFailure) {
  Listener listener(GetParam());
  listener.fd.reset();
  auto started = connect_stream(sys::real_kernel(), listener.endpoint, {});
  if (!started) {
    EXPECT_EQ(started.error().error, ECONNREFUSED);
    return;
  }
  ASSERT_EQ(started->progress, ConnectProgress::kInProgress);
  const ConnectReport report = connect_outcome(started->socket);
  EXPECT_EQ(report.outcome, ConnectOutcome::kFailed);
  EXPECT_EQ(report.error, ECONNREFUSED);
}

// The target answers and resets before anybody has asked how the connect ended.
TEST_P(StreamConnect, AResetBehindAnAnswerIsNoFailureAndLosesNothing) {
  for (const bool with_fin : {false, true}) {
    const Listener listener(GetParam());
    auto started = connect_stream(sys::real_kernel(), listener.endpoint, {});
    ASSERT_TRUE(started);
    UniqueFd target(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const std::string answer(300, 'a');
    ASSERT_EQ(::send(target.get(), answer.data(), answer.size(), 0), 300);
    if (with_fin) ::shutdown(target.get(), SHUT_WR);
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(target.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    target.reset();
    pollfd waiting{.fd = started->socket.fd(), .events = POLLOUT, .revents = 0};
    ASSERT_EQ(::poll(&waiting, 1, 5000), 1);

    const ConnectReport report = connect_outcome(started->socket);
    EXPECT_EQ(report.outcome, ConnectOutcome::kEstablishedThenReset);
    EXPECT_EQ(report.error, with_fin ? EPIPE : ECONNRESET);
    std::array<char, 1000> room{};
    const iovec part{.iov_base = room.data(), .iov_len = room.size()};
    const auto read = started->socket.read({&part, 1});
    ASSERT_TRUE(read);
    EXPECT_EQ(read->bytes, 300U) << with_fin;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, StreamConnect, ::testing::Values("127.0.0.1", "::1"));

// A second connect() of a socket that was established and reset empties its queue.
TEST(StreamConnectCalls, TheStateIsAskedForWithoutASecondConnect) {
  for (const int state : {TCP_SYN_SENT, TCP_ESTABLISHED, TCP_CLOSE_WAIT, TCP_CLOSE}) {
    sys::FakeKernel kernel;
    kernel.script("connect", -1, EINPROGRESS);
    kernel.script_value(state);
    const auto started = connect_stream(kernel, at("192.0.2.1", 80), {});
    ASSERT_TRUE(started);
    EXPECT_EQ(kernel.count("connect"), 1U);
    const bool established = state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT;
    EXPECT_EQ(started->progress == ConnectProgress::kEstablished, established) << state;
  }
}

}  // namespace
}  // namespace sluice::host
