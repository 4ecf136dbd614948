// Stream clients of a UDP target, with real sockets on the loopback.
#include "forward/tcp/tcp_to_udp.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "unit/forward/udp/udp_fixture.h"

namespace sluice::forward {
namespace {

using namespace testing;
using policy::Protocol;

class TcpToUdpTest : public LoopFixture<TcpToUdp> {
 protected:
  std::shared_ptr<LiveRule> rule_to(std::initializer_list<wire::Endpoint> targets,
                                    Framing framing = Framing::kNone) {
    Rule rule = datagram_rule(Protocol::kTcp, Protocol::kUdp, targets);
    rule.framing = framing;
    return live(std::move(rule));
  }
  // A client of the rule; the test's end is non-blocking.
  UniqueFd begin(const std::shared_ptr<LiveRule>& rule, ByteView head = {}, int sndbuf = 0) {
    const UniqueFd listener = listening_socket();
    UniqueFd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in name = loopback(port_of(listener.get()));
    EXPECT_EQ(connect(client.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
    fcntl(client.get(), F_SETFL, O_NONBLOCK);
    const int served = accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (sndbuf > 0) setsockopt(served, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof sndbuf);
    start(rule, served, endpoint("127.0.0.1", port_of(client.get())), head);
    return client;
  }
  void start(const std::shared_ptr<LiveRule>& rule, int served, const wire::Endpoint& client,
             ByteView head = {}) {
    context.now = loop.now();
    counters = rule->counters;
    counters->active.fetch_add(1);  // As the one who accepts does.
    forwarder->start({.socket = host::TcpSocket::adopt(sys::KernelFd(sys::real_kernel(), served)),
                      .client = client,
                      .rule = rule,
                      .ticket = {},
                      .listen_port = 1,
                      .port_offset = 0,
                      .accepted_at = context.now},
                     head);
  }
  static void write_all(const UniqueFd& fd, const Bytes& bytes) {
    EXPECT_EQ(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  Bytes read_exactly(const UniqueFd& fd, std::size_t size) {
    Bytes all;
    EXPECT_TRUE(until([&] {
      Bytes bytes(256 * 1024);
      const ssize_t got = recv(fd.get(), bytes.data(), bytes.size(), 0);
      if (got > 0) all.insert(all.end(), bytes.begin(), bytes.begin() + got);
      return all.size() >= size || got == 0;
    })) << all.size();
    EXPECT_EQ(all.size(), size);
    return all;
  }
  // How the client's stream ends: 0 by FIN, or errno.
  int wait_for_end(const UniqueFd& fd) {
    int error = -1;
    EXPECT_TRUE(until([&] {
      std::uint8_t byte = 0;
      const ssize_t got = recv(fd.get(), &byte, 1, 0);
      if (got == 0) error = 0;
      if (got < 0 && errno != EAGAIN) error = errno;
      return error >= 0;
    }));
    return error;
  }
  static Bytes framed(std::initializer_list<Bytes> datagrams) {
    Bytes stream;
    for (const Bytes& datagram : datagrams) {
      const auto header = frame_header(datagram.size());
      stream.insert(stream.end(), header.begin(), header.end());
      stream.insert(stream.end(), datagram.begin(), datagram.end());
    }
    return stream;
  }

  std::shared_ptr<RuleCounters> counters;
};

TEST_F(TcpToUdpTest, EachWriteIsADatagramAndAnswersAreTheStream) {
  const Peer target;
  const UniqueFd client = begin(rule_to({target.at()}));
  for (const std::string request : {"one", "two", "three"}) {
    write_all(client, bytes_of(request));
    const Received there = wait_for(target);
    EXPECT_EQ(text_of(there.bytes), request);
    ASSERT_EQ(target.send(there.from, "re "), 0);
    ASSERT_EQ(target.send(there.from, request), 0);
    EXPECT_EQ(text_of(read_exactly(client, 3 + request.size())), "re " + request);
  }
  forwarder->end_all();
  EXPECT_EQ(counters->bytes_to_target, 11U);
  EXPECT_EQ(counters->bytes_to_client, 20U);
  EXPECT_EQ(counters->active, 0U);
  EXPECT_EQ(logged("\"event\":\"opened\""), 1U);
  EXPECT_EQ(logged("\"stopped\""), 1U);
  EXPECT_EQ(wait_for_end(client), 0);
}

TEST_F(TcpToUdpTest, MoreThanADatagramHoldsIsCutAndNothingLost) {
  const Peer target;
  const auto rule = rule_to({target.at()});
  // Behind a PROXY header came more than one datagram carries.
  const Bytes head = pattern(65'536, 3);
  const UniqueFd client = begin(rule, head);
  EXPECT_EQ(wait_for(target).bytes.size(), 65'507U);
  EXPECT_EQ(wait_for(target).bytes.size(), 29U);
  const Bytes all = pattern(300'000);
  Bytes got;
  std::size_t sent = 0;
  EXPECT_TRUE(until([&] {
    const ssize_t more = ::send(client.get(), all.data() + sent, all.size() - sent, MSG_NOSIGNAL);
    if (more > 0) sent += static_cast<std::size_t>(more);
    while (const auto received = target.receive()) {
      EXPECT_LE(received->bytes.size(), 65'507U);
      got.insert(got.end(), received->bytes.begin(), received->bytes.end());
    }
    return got.size() >= all.size();
  }));
  EXPECT_EQ(got, all);
  EXPECT_EQ(counters->datagrams_dropped, 0U);
}

TEST_F(TcpToUdpTest, FramesKeepBordersBothWays) {
  const Peer target;
  const UniqueFd client = begin(rule_to({target.at()}, Framing::kLength16));
  const Bytes large = pattern(65'507);
  const Bytes stream = framed({bytes_of("a"), {}, large, bytes_of("bc")});
  std::size_t at = 0;
  EXPECT_TRUE(until([&] {
    const std::size_t size = std::min<std::size_t>(at < 8 ? 1 : 30'000, stream.size() - at);
    const ssize_t sent = ::send(client.get(), stream.data() + at, size, MSG_NOSIGNAL);
    if (sent > 0) at += static_cast<std::size_t>(sent);
    return at == stream.size();
  }));
  wire::Endpoint from;
  for (const Bytes& expected : {bytes_of("a"), Bytes{}, large, bytes_of("bc")}) {
    const Received received = wait_for(target);
    EXPECT_EQ(received.bytes, expected);
    from = received.from;
  }
  ASSERT_EQ(target.send(from, Bytes{}), 0);
  ASSERT_EQ(target.send(from, "answer"), 0);
  ASSERT_EQ(target.send_segments(from, pattern(2500), 1000), 0);
  ASSERT_EQ(target.send(from, large), 0);
  const Bytes joined = pattern(2500);
  const Bytes expected = framed({{},
                                 bytes_of("answer"),
                                 {joined.begin(), joined.begin() + 1000},
                                 {joined.begin() + 1000, joined.begin() + 2000},
                                 {joined.begin() + 2000, joined.end()},
                                 large});
  EXPECT_EQ(read_exactly(client, expected.size()), expected);
}

TEST_F(TcpToUdpTest, LengthsThatNoDatagramCanHaveAreDropped) {
  const Peer target;
  const UniqueFd client = begin(rule_to({target.at()}, Framing::kLength16));
  write_all(client, framed({pattern(65'535)}));
  settle();
  write_all(client, framed({pattern(65'508), bytes_of("good")}));
  EXPECT_EQ(text_of(wait_for(target).bytes), "good");
  EXPECT_EQ(counters->datagrams_dropped, 2U);
}

TEST_F(TcpToUdpTest, AStreamThatEndsInsideAFrameEndsTheSessionWithAnError) {
  const Peer target;
  const UniqueFd client = begin(rule_to({target.at()}, Framing::kLength16));
  write_all(client, {0, 9, 'c', 'u', 't'});
  settle();
  shutdown(client.get(), SHUT_WR);
  EXPECT_EQ(wait_for_end(client), ECONNRESET);
  EXPECT_TRUE(silent(target));
  EXPECT_EQ(logged("\"client-reset\""), 1U);
  EXPECT_EQ(forwarder->sessions(), 0U);
}

TEST_F(TcpToUdpTest, AClientThatDoesNotReadLosesNothingThatWasTaken) {
  const Peer target;
  const UniqueFd client = begin(rule_to({target.at()}, Framing::kLength16), {}, 8192);
  write_all(client, framed({bytes_of("x")}));
  const wire::Endpoint from = wait_for(target).from;
  constexpr unsigned kAnswers = 3000;
  for (unsigned i = 0; i < kAnswers; ++i) {
    Bytes answer = pattern(5000);
    answer[0] = static_cast<std::uint8_t>(i >> 8);
    answer[1] = static_cast<std::uint8_t>(i);
    ASSERT_EQ(target.send(from, answer), 0);
    if (i % 20 == 0) turn(0ms);
  }
  settle();
  const std::size_t seen = events_seen;
  settle();
  // Nothing turns in circles; a probe of the full window may be answered.
  EXPECT_LE(events_seen, seen + 2);
  // What arrives are whole frames, in order.
  FrameReader reader;
  int last = -1;
  unsigned frames = 0;
  const auto read_some = [&] {
    Bytes bytes(100'000);
    const ssize_t got = recv(client.get(), bytes.data(), bytes.size(), 0);
    if (got <= 0) return;
    reader.feed(ByteView(bytes).first(static_cast<std::size_t>(got)));
    ByteView frame;
    while (reader.next(frame)) {
      ASSERT_EQ(frame.size(), 5000U);
      const int number = (frame[0] << 8) | frame[1];
      EXPECT_GT(number, last);
      last = number;
      ++frames;
    }
    reader.settle();
  };
  for (int i = 0; i < 300; ++i) {
    read_some();
    turn(1ms);
  }
  EXPECT_GT(frames, 50U);
  EXPECT_LT(frames, kAnswers);
  EXPECT_FALSE(reader.inside_frame());
  // And it goes on.
  ASSERT_EQ(target.send(from, pattern(5000, 255)), 0);
  const unsigned before = frames;
  last = -1;
  EXPECT_TRUE(until([&] {
    read_some();
    return frames == before + 1;
  }));
}

TEST_F(TcpToUdpTest, AHalfClosedClientStillGetsAnswersUntilTheTimeout) {
  const Peer target;
  const UniqueFd client = begin(rule_to({target.at()}));
  write_all(client, bytes_of("request"));
  const wire::Endpoint from = wait_for(target).from;
  shutdown(client.get(), SHUT_WR);
  for (int i = 0; i < 3; ++i) {
    move_on(60s);
    ASSERT_EQ(target.send(from, "late"), 0);
    EXPECT_EQ(text_of(read_exactly(client, 4)), "late");
  }
  move_on(73s);
  EXPECT_EQ(wait_for_end(client), 0);
  EXPECT_EQ(forwarder->sessions(), 0U);
  EXPECT_EQ(logged("\"client-closed\""), 1U);
  EXPECT_EQ(counters->active, 0U);
}

TEST_F(TcpToUdpTest, ASilentTargetEndsWithTheTimeout) {
  const Peer target;
  const UniqueFd client = begin(rule_to({target.at()}));
  write_all(client, bytes_of("request"));
  (void)wait_for(target);
  move_on(71s);
  EXPECT_EQ(forwarder->sessions(), 1U);
  move_on(2s);
  EXPECT_EQ(wait_for_end(client), 0);
  EXPECT_EQ(logged("\"idle\""), 1U);
}

TEST_F(TcpToUdpTest, AResetEndsTheSession) {
  const Peer target;
  const auto rule = rule_to({target.at()});
  for (const bool half_closed : {false, true}) {
    UniqueFd client = begin(rule);
    write_all(client, bytes_of("x"));
    (void)wait_for(target);
    if (half_closed) {
      shutdown(client.get(), SHUT_WR);
      settle();
    }
    const linger now{.l_onoff = 1, .l_linger = 0};
    setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    client.reset();
    EXPECT_TRUE(until([&] { return forwarder->sessions() == 0; })) << half_closed;
  }
  EXPECT_EQ(logged("\"client-reset\""), 2U);
  EXPECT_EQ(rule->targets.active(0), 0U);
}

TEST_F(TcpToUdpTest, WhatAClientSentBeforeItsResetReachesTheTarget) {
  const Peer target;
  UniqueFd client = begin(rule_to({target.at()}, Framing::kLength16));
  Bytes all;
  for (int i = 0; i < 40; ++i) {
    const Bytes one = framed({bytes_of(fmt::format("datagram {}", i))});
    all.insert(all.end(), one.begin(), one.end());
  }
  write_all(client, all);
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  client.reset();  // Both are there before the forwarder looks.
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(text_of(wait_for(target).bytes), fmt::format("datagram {}", i));
  }
  EXPECT_TRUE(until([&] { return forwarder->sessions() == 0; }));
  EXPECT_EQ(logged("\"client-reset\""), 1U);
}

TEST_F(TcpToUdpTest, ATargetThatIsDownIsToldToTheClient) {
  Peer gone;
  const wire::Endpoint down = gone.at();
  gone.close();
  const UniqueFd client = begin(rule_to({down}));
  write_all(client, bytes_of("anyone?"));
  EXPECT_EQ(wait_for_end(client), ECONNRESET);
  EXPECT_EQ(logged("\"target-reset\""), 1U);
  EXPECT_EQ(counters->active, 0U);
}

TEST_F(TcpToUdpTest, WithoutAnAnswerTheNextTargetIsTried) {
  const Peer target;
  Peer gone;
  const wire::Endpoint down = gone.at();
  gone.close();
  const auto rule = rule_to({down, target.at()});
  const UniqueFd one = begin(rule);
  const UniqueFd two = begin(rule);
  for (const UniqueFd* client : {&one, &two}) {
    write_all(*client, bytes_of("a"));
    settle();
    write_all(*client, bytes_of("b"));
    EXPECT_TRUE(until([&] {
      const auto received = target.receive();
      return received && text_of(received->bytes) == "b";
    }));
  }
  EXPECT_EQ(rule->targets.active(1), 2U);
}

TEST_F(TcpToUdpTest, ATargetOutOfReachFailsTheConnect) {
  const Peer target;
  Rule rule = datagram_rule(Protocol::kTcp, Protocol::kUdp, {target.at()});
  rule.socket.source = wire::parse_ip("203.0.113.1").value();  // Not ours.
  const UniqueFd client = begin(live(std::move(rule)));
  EXPECT_EQ(wait_for_end(client), ECONNRESET);
  EXPECT_EQ(counters->connect_failed, 1U);
  EXPECT_EQ(counters->active, 0U);
  EXPECT_EQ(logged("\"connect-failed\""), 1U);
  EXPECT_EQ(logged("\"event\":\"opened\""), 0U);
}

TEST_F(TcpToUdpTest, AUnixClientWorksToo) {
  const Peer target;
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd client(ends[0]);
  start(rule_to({target.at()}), ends[1], {});
  write_all(client, bytes_of("x"));
  const Received there = wait_for(target);
  ASSERT_EQ(target.send(there.from, "y"), 0);
  EXPECT_EQ(text_of(read_exactly(client, 1)), "y");
}

TEST_F(TcpToUdpTest, ManyClientsLeaveNothingBehind) {
  const Peer target;
  const auto rule = rule_to({target.at()});
  const std::size_t before = open_descriptors();
  {
    std::vector<UniqueFd> clients;
    for (int i = 0; i < 100; ++i) clients.push_back(begin(rule));
    for (int i = 0; i < 100; ++i) {
      write_all(clients[static_cast<std::size_t>(i)], bytes_of(std::to_string(i)));
    }
    for (int i = 0; i < 100; ++i) {
      const Received there = wait_for(target);
      ASSERT_EQ(target.send(there.from, there.bytes), 0);
    }
    for (int i = 0; i < 100; ++i) {
      const std::string text = std::to_string(i);
      EXPECT_EQ(text_of(read_exactly(clients[static_cast<std::size_t>(i)], text.size())), text);
    }
    EXPECT_EQ(forwarder->sessions(), 100U);
    move_on(73s);
  }
  EXPECT_EQ(forwarder->sessions(), 0U);
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace sluice::forward
