// Over real sockets: which port a question leaves from, and on which an answer counts.
#include "driver/io/dns_sockets.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "host/udp_socket.h"
#include "unit/sys/loopback.h"

namespace sluice::driver {
namespace {

using namespace std::chrono_literals;

struct Asked {
  wire::Endpoint from;
  std::vector<std::uint8_t> message;
};

class DnsSocketsTest : public testing::TestWithParam<wire::IpFamily> {
 protected:
  DnsSocketsTest()
      : loop_(sys::EventLoop::create(sys::real_kernel()).value()),
        resolver_(open_resolver()),
        at_(resolver_.local_endpoint().value()),
        sockets_({sys::real_kernel(), loop_, outbound_}) {}

  static host::UdpSocket open_resolver() {
    return host::UdpSocket::open(sys::real_kernel(), GetParam(),
                                 {.bind = wire::Endpoint{sys::loopback_of(GetParam()), {0}}})
        .value();
  }
  static std::vector<std::uint8_t> query(std::uint16_t id) {
    std::vector<std::uint8_t> message(12);
    put16<0>(MutableBytes(message).first<2>(), id);
    return message;
  }
  // Whether it was sent.
  bool ask(std::uint32_t slot, std::uint16_t id) {
    std::vector<dns::DnsSlot> failed;
    const auto message = query(id);
    sockets_.ask({slot}, at_, 0, message, now_, failed);
    sockets_.flush(failed);
    return failed.empty();
  }
  std::vector<Asked> arrived() {
    std::vector<Asked> all;
    std::array<std::uint8_t, 512> room;
    iovec part{.iov_base = room.data(), .iov_len = room.size()};
    host::IncomingDatagram datagram;
    datagram.buffer = {&part, 1};
    while (resolver_.receive(scratch_, {&datagram, 1}).value_or(0) == 1) {
      all.push_back({datagram.source, {room.begin(), room.begin() + datagram.length}});
    }
    return all;
  }
  static void send(host::UdpSocket& from, const wire::Endpoint& to,
                   std::vector<std::uint8_t> message) {
    host::DatagramScratch scratch;
    const iovec part{.iov_base = message.data(), .iov_len = message.size()};
    const host::OutgoingDatagram datagram{.target = to, .payload = {&part, 1}};
    ASSERT_EQ(from.send(scratch, {&datagram, 1}).value_or(0), 1u);
  }
  // Runs events until none comes any more.
  void turn() {
    std::array<epoll_event, 16> events;
    const Instant end = loop_.now() + 50ms;
    for (int turns = 0; turns < 1000; ++turns) {
      const std::size_t count = loop_.wait(events, loop_.now(), end).value_or(0);
      if (count == 0) return;
      for (std::size_t i = 0; i < count; ++i) {
        sockets_.on_event(
            EventTag::unpack(events[i].data.u64), events[i].events,
            [&](dns::DnsSlot slot, ByteView) { delivered_.push_back(slot.value); }, failed_);
      }
      for (const dns::DnsSlot slot : failed_) sockets_.forget(slot);
    }
    FAIL() << "events without end";
  }

  sys::EventLoop loop_;
  host::DatagramScratch scratch_;
  host::UdpSocket resolver_;
  wire::Endpoint at_;
  host::Outbound outbound_;
  DnsSockets sockets_;
  Instant now_{1000s};
  std::vector<std::uint32_t> delivered_;
  std::vector<dns::DnsSlot> failed_;
};

INSTANTIATE_TEST_SUITE_P(Families, DnsSocketsTest,
                         testing::Values(wire::IpFamily::kV4, wire::IpFamily::kV6));

TEST_P(DnsSocketsTest, PortServesFewQuestionsForAShortTime) {
  std::map<std::uint16_t, int> ports;
  for (std::uint16_t i = 0; i < 320; ++i) {
    ASSERT_TRUE(ask(i, i));
    for (const Asked& asked : arrived()) ++ports[asked.from.port.value];
    sockets_.forget({i});
  }
  EXPECT_GE(ports.size(), 9u);  // The kernel may draw a port twice.
  for (const auto& [port, questions] : ports) {
    EXPECT_EQ(questions % static_cast<int>(DnsSockets::kQuestionsEach), 0) << port;
  }
  // A guest that asks now and then has a new port each time.
  std::set<std::uint16_t> rare;
  for (std::uint16_t i = 0; i < 20; ++i) {
    now_ += DnsSockets::kOpenFor;
    ASSERT_TRUE(ask(i, i));
    for (const Asked& asked : arrived()) rare.insert(asked.from.port.value);
    sockets_.forget({i});
  }
  EXPECT_GE(rare.size(), 19u);
  EXPECT_LE(sockets_.open(), 1u);
}

TEST_P(DnsSocketsTest, AnswerCountsOnlyWhereItWasAskedFor) {
  ASSERT_TRUE(ask(1, 0x1111));
  now_ += DnsSockets::kOpenFor;
  ASSERT_TRUE(ask(2, 0x2222));
  const auto asked = arrived();
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_NE(asked[0].from.port, asked[1].from.port);
  send(resolver_, asked[0].from, query(0x2222));  // The other question's id.
  host::UdpSocket stranger = open_resolver();
  send(stranger, asked[0].from, query(0x1111));
  turn();
  EXPECT_TRUE(delivered_.empty());
  send(resolver_, asked[0].from, query(0x1111));
  send(resolver_, asked[1].from, query(0x2222));
  turn();
  EXPECT_EQ(std::set<std::uint32_t>(delivered_.begin(), delivered_.end()),
            (std::set<std::uint32_t>{1, 2}));
  sockets_.forget({1});
  EXPECT_EQ(sockets_.open(), 1u);  // It was not used for new questions any more.
}

TEST_P(DnsSocketsTest, QuestionsOfOneTurnLeaveTogether) {
  std::vector<std::vector<std::uint8_t>> messages;
  std::vector<dns::DnsSlot> failed;
  for (std::uint16_t i = 0; i < 100; ++i) messages.push_back(query(i));
  for (std::uint16_t i = 0; i < 100; ++i) sockets_.ask({i}, at_, 0, messages[i], now_, failed);
  sockets_.flush(failed);
  EXPECT_TRUE(failed.empty());
  EXPECT_EQ(sockets_.open(), 4u);
  std::set<std::uint16_t> ids;
  for (const Asked& asked : arrived()) {
    ids.insert(be16<0>(ByteView(asked.message).first<2>()));
    send(resolver_, asked.from, asked.message);
  }
  EXPECT_EQ(ids.size(), 100u);
  turn();
  EXPECT_EQ(std::set<std::uint32_t>(delivered_.begin(), delivered_.end()).size(), 100u);
  for (std::uint16_t i = 0; i < 100; ++i) sockets_.forget({i});
  EXPECT_LE(sockets_.open(), 1u);
}

TEST_P(DnsSocketsTest, EqualIdsNeverShareASocket) {
  ASSERT_TRUE(ask(1, 7));
  ASSERT_TRUE(ask(2, 7));
  const auto asked = arrived();
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_NE(asked[0].from.port, asked[1].from.port);
  send(resolver_, asked[1].from, query(7));
  turn();
  EXPECT_EQ(delivered_, (std::vector<std::uint32_t>{2}));
}

TEST_P(DnsSocketsTest, AllThatAskedFailWhereNobodyListens) {
  resolver_.close();
  ASSERT_TRUE(ask(1, 1));
  turn();
  ASSERT_EQ(failed_.size(), 1u);
  EXPECT_EQ(failed_[0].value, 1u);
  EXPECT_EQ(sockets_.open(), 0u);
}

}  // namespace
}  // namespace sluice::driver
