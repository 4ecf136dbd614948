#include "host/udp_socket.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <vector>

#include "sys/control_message.h"
#include "unit/sys/fake_kernel.h"
#include "unit/sys/loopback.h"

namespace sluice::host {
namespace {

using Bytes = std::vector<std::uint8_t>;

iovec part_of(Bytes& bytes) { return {.iov_base = bytes.data(), .iov_len = bytes.size()}; }

TEST(UdpSocketFake, FullIsZeroAndAnOldErrorIsRetriedOnce) {
  sys::FakeKernel kernel;
  DatagramScratch scratch;
  auto socket = UdpSocket::open(kernel, wire::IpFamily::kV4).value();
  Bytes payload(10);
  const std::array parts{part_of(payload)};
  const std::array out{
      OutgoingDatagram{.target = {sys::ip("127.0.0.1"), wire::Port{9}}, .payload = parts}};
  kernel.script("sendmmsg", -1, EAGAIN);
  EXPECT_EQ(socket.send(scratch, out).value(), 0U);
  kernel.script("sendmmsg", -1, ECONNREFUSED);
  EXPECT_EQ(socket.send(scratch, out).value(), 1U);
  kernel.script("sendmmsg", -1, EPERM);
  kernel.script("sendmmsg", -1, EPERM);
  EXPECT_EQ(socket.send(scratch, out).error(), (sys::SysError{sys::SysOp::kSend, EPERM}));
}

TEST(UdpSocketFake, RefusedSegmentationIsCutByUs) {
  sys::FakeKernel kernel;
  DatagramScratch scratch;
  auto socket = UdpSocket::open(kernel, wire::IpFamily::kV4).value();
  Bytes head(1000);
  Bytes tail(1500);
  const std::array parts{part_of(head), part_of(tail)};
  const std::array out{OutgoingDatagram{
      .target = {sys::ip("127.0.0.1"), wire::Port{9}}, .payload = parts, .segment_size = 1200}};
  kernel.script("sendmmsg", -1, EIO);
  kernel.script("sendmmsg", -1, EIO);
  EXPECT_EQ(socket.send(scratch, out).value(), 1U);
  std::vector<long> sizes;
  for (const auto& call : kernel.calls) {
    if (call.name == "sendmmsg") sizes.push_back(call.first);
  }
  EXPECT_EQ(sizes, (std::vector<long>{2500, 2500, 1200, 1200, 100}));
}

TEST(UdpSocketFake, AHopLimitThatComesAgainIsSetOnce) {
  sys::FakeKernel kernel;
  auto socket = UdpSocket::open(kernel, wire::IpFamily::kV4).value();
  DatagramScratch scratch;
  Bytes bytes(8);
  const std::array parts{part_of(bytes)};
  const auto send = [&](std::uint8_t limit) {
    kernel.calls.clear();
    const std::array out{OutgoingDatagram{
        .target = {sys::ip("127.0.0.1"), wire::Port{9}}, .payload = parts, .hop_limit = limit}};
    EXPECT_EQ(socket.send(scratch, out).value(), 1U);
    return kernel.count("setsockopt");
  };
  EXPECT_EQ(send(63), 0U);
  EXPECT_EQ(send(63), 1U);
  EXPECT_EQ(send(63), 0U);
  // As traceroute does: no two in a row are the same.
  for (std::uint8_t limit = 1; limit < 5; ++limit) EXPECT_EQ(send(limit), 0U);
  EXPECT_EQ(send(63), 0U);
  EXPECT_EQ(send(0), 1U);  // The system's own again.
  EXPECT_EQ(send(0), 0U);
}

class UdpSocketReal : public ::testing::TestWithParam<wire::IpFamily> {
 protected:
  void SetUp() override {
    auto opened = UdpSocket::open(
        sys::real_kernel(), GetParam(),
        {.bind = wire::Endpoint{sys::loopback_of(GetParam()), wire::Port{0}}, .packet_info = true});
    if (!opened) GTEST_SKIP() << "no loopback of this family: " << opened.error().describe();
    server = std::move(*opened);
    endpoint = server.local_endpoint().value();
    client = UdpSocket::open(sys::real_kernel(), GetParam()).value();
  }
  std::size_t receive_one(UdpSocket& socket) {
    buffer.assign(65536, 0);
    room = {part_of(buffer)};
    slots[0].buffer = room;
    if (!sys::wait_for(socket.fd(), POLLIN)) return 0;
    return socket.receive(scratch, slots).value();
  }

  DatagramScratch scratch;
  UdpSocket server;
  UdpSocket client;
  wire::Endpoint endpoint;
  Bytes buffer;
  std::array<iovec, 1> room{};
  std::array<IncomingDatagram, 1> slots{};
};

TEST_P(UdpSocketReal, BatchThereAndAnswerFromTheAddressAsked) {
  Bytes first(3, 1);
  Bytes second(65000, 2);
  const std::array a{part_of(first)};
  const std::array b{part_of(second)};
  const std::array out{OutgoingDatagram{.target = endpoint, .payload = a},
                       OutgoingDatagram{.target = endpoint, .payload = b}};
  ASSERT_EQ(client.send(scratch, out).value(), 2U);
  ASSERT_EQ(receive_one(server), 1U);
  EXPECT_EQ(slots[0].length, 3U);
  EXPECT_EQ(slots[0].destination, sys::loopback_of(GetParam()));
  EXPECT_EQ(slots[0].source.port, client.local_endpoint().value().port);
  EXPECT_EQ(slots[0].segment_size, 0);
  const wire::Endpoint from = slots[0].source;
  ASSERT_EQ(receive_one(server), 1U);
  EXPECT_EQ(slots[0].length, 65000U);
  EXPECT_FALSE(slots[0].truncated);
  EXPECT_EQ(server.receive(scratch, slots).value(), 0U);

  const std::array answer{
      OutgoingDatagram{.target = from, .payload = a, .source = sys::loopback_of(GetParam())}};
  ASSERT_EQ(server.send(scratch, answer).value(), 1U);
  ASSERT_EQ(receive_one(client), 1U);
  EXPECT_EQ(slots[0].source, endpoint);
}

TEST_P(UdpSocketReal, SegmentsKeepTheirBoundaries) {
  Bytes payload(2500);
  std::iota(payload.begin(), payload.end(), std::uint8_t{0});
  const std::array parts{part_of(payload)};
  const std::array out{
      OutgoingDatagram{.target = endpoint, .payload = parts, .segment_size = 1000}};
  ASSERT_EQ(client.send(scratch, out).value(), 1U);
  Bytes all;
  std::size_t datagrams = 0;
  while (all.size() < payload.size()) {
    ASSERT_EQ(receive_one(server), 1U);
    const std::size_t size = slots[0].segment_size == 0 ? slots[0].length : slots[0].segment_size;
    EXPECT_TRUE(size == 1000 || size == 500);
    datagrams += (slots[0].length + size - 1) / size;
    all.insert(all.end(), buffer.begin(),
               buffer.begin() + static_cast<std::ptrdiff_t>(slots[0].length));
  }
  EXPECT_EQ(all, payload);
  EXPECT_EQ(datagrams, 3U);
}

TEST_P(UdpSocketReal, ClosedPortComesBackThroughTheErrorQueue) {
  server.close();
  Bytes payload{1, 2, 3, 4};
  const std::array parts{part_of(payload)};
  const std::array out{OutgoingDatagram{.target = endpoint, .payload = parts, .hop_limit = 5}};
  ASSERT_EQ(client.send(scratch, out).value(), 1U);
  ASSERT_TRUE(sys::wait_for(client.fd(), POLLERR));
  Bytes quote(64);
  const auto report = client.read_errors(quote).value();
  ASSERT_TRUE(report.has_value());
  const bool v4 = GetParam() == wire::IpFamily::kV4;
  EXPECT_EQ(report->origin, v4 ? ErrorOrigin::kIcmp : ErrorOrigin::kIcmpv6);
  EXPECT_EQ(report->error, ECONNREFUSED);
  EXPECT_EQ(report->icmp_type, v4 ? 3 : 1);  // Destination unreachable,
  EXPECT_EQ(report->icmp_code, v4 ? 3 : 4);  // port unreachable.
  EXPECT_EQ(report->offender, sys::loopback_of(GetParam()));
  EXPECT_EQ(report->destination, endpoint);
  EXPECT_EQ(report->quoted, 4U);
  EXPECT_FALSE(client.read_errors(quote).value().has_value());
  EXPECT_EQ(client.send(scratch, out).value(), 1U);
}

TEST_P(UdpSocketReal, EachDatagramHasTheHopLimitItWasGiven) {
  const bool v4 = GetParam() == wire::IpFamily::kV4;
  const int on = 1;
  ASSERT_EQ(::setsockopt(server.fd(), v4 ? IPPROTO_IP : IPPROTO_IPV6,
                         v4 ? IP_RECVTTL : IPV6_RECVHOPLIMIT, &on, sizeof on),
            0);
  Bytes payload(8, 7);
  const std::array parts{part_of(payload)};
  const auto arrived_with = [&](std::uint8_t limit) {
    const std::array out{
        OutgoingDatagram{.target = endpoint, .payload = parts, .hop_limit = limit}};
    EXPECT_EQ(client.send(scratch, out).value(), 1U);
    EXPECT_TRUE(sys::wait_for(server.fd(), POLLIN));
    iovec part = part_of(payload);
    alignas(cmsghdr) std::array<std::uint8_t, 128> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    EXPECT_EQ(::recvmsg(server.fd(), &message, MSG_DONTWAIT), 8);
    int found = -1;
    for (cmsghdr* item = CMSG_FIRSTHDR(&message); item != nullptr;
         item = CMSG_NXTHDR(&message, item)) {
      const auto value = v4 ? sys::control_value<int>(*item, IPPROTO_IP, IP_TTL)
                            : sys::control_value<int>(*item, IPPROTO_IPV6, IPV6_HOPLIMIT);
      if (value) found = *value;
    }
    return found;
  };
  const int usual = arrived_with(0);
  constexpr std::array<std::uint8_t, 10> kLimits = {63, 63, 63, 1, 2, 2, 63, 9, 63, 63};
  for (const std::uint8_t limit : kLimits) {
    EXPECT_EQ(arrived_with(limit), limit);
  }
  EXPECT_EQ(arrived_with(0), usual);
}

TEST_P(UdpSocketReal, TruncationIsTold) {
  Bytes payload(100, 7);
  const std::array parts{part_of(payload)};
  const std::array out{OutgoingDatagram{.target = endpoint, .payload = parts}};
  ASSERT_EQ(client.send(scratch, out).value(), 1U);
  ASSERT_TRUE(sys::wait_for(server.fd(), POLLIN));
  Bytes small(10);
  const std::array<iovec, 1> tight{part_of(small)};
  room = tight;
  slots[0].buffer = room;
  ASSERT_EQ(server.receive(scratch, slots).value(), 1U);
  EXPECT_TRUE(slots[0].truncated);
}

INSTANTIATE_TEST_SUITE_P(Families, UdpSocketReal,
                         ::testing::Values(wire::IpFamily::kV4, wire::IpFamily::kV6));

}  // namespace
}  // namespace sluice::host
