// UDP clients of a stream target, with real sockets on the loopback.
#include "forward/udp/udp_to_tcp.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/un.h>

#include "forward/udp/udp_forwarder.h"
#include "unit/forward/udp/udp_fixture.h"

namespace sluice::forward {
namespace {

using namespace testing;
using policy::Protocol;

// A stream of a backend, non-blocking.
class Stream {
 public:
  explicit Stream(UniqueFd fd) : fd_(std::move(fd)) {}
  void send(const Bytes& bytes) const {
    EXPECT_EQ(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // What is there; `ended` becomes true at its end.
  Bytes read() {
    Bytes bytes(256 * 1024);
    const ssize_t got = recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    ended = got == 0 || (got < 0 && errno != EAGAIN);
    bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    return bytes;
  }
  void reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    fd_.reset();
  }
  void close() { fd_.reset(); }
  [[nodiscard]] int fd() const { return fd_.get(); }

  bool ended = false;

 private:
  UniqueFd fd_;
};

class UdpToTcpTest : public LoopFixture<UdpForwarder> {
 protected:
  Rule rule_to(std::initializer_list<std::uint16_t> ports, Framing framing = Framing::kNone) {
    Rule rule = datagram_rule(Protocol::kUdp, Protocol::kTcp, {});
    for (const std::uint16_t at : ports) {
      Target target;
      target.place.host = "127.0.0.1";
      target.place.port = at;
      rule.targets.push_back(target);
    }
    rule.framing = framing;
    return rule;
  }
  void listen_with(Rule rule) {
    UniqueFd fd = bound_socket(SOCK_DGRAM | SOCK_NONBLOCK);
    door = endpoint("127.0.0.1", port_of(fd.get()));
    used = live(std::move(rule));
    counters = used->counters;
    (void)forwarder->listen(listener_socket(fd.release(), used->plan), used, door.port.value, 0);
  }
  // Nothing when nobody connects soon.
  std::optional<Stream> accepted(const UniqueFd& listener) {
    for (int i = 0; i < 30; ++i) {
      UniqueFd fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (fd.valid()) return Stream(std::move(fd));
      turn();
    }
    return std::nullopt;
  }
  static UniqueFd backend(std::uint16_t port = 0) {
    UniqueFd fd = listening_socket(port);
    fcntl(fd.get(), F_SETFL, O_NONBLOCK);
    return fd;
  }
  Bytes read_exactly(Stream& stream, std::size_t size) {
    Bytes all;
    EXPECT_TRUE(until([&] {
      const Bytes more = stream.read();
      all.insert(all.end(), more.begin(), more.end());
      return all.size() >= size || stream.ended;
    }));
    EXPECT_EQ(all.size(), size);
    return all;
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

  wire::Endpoint door;
  std::shared_ptr<LiveRule> used;
  std::shared_ptr<RuleCounters> counters;
};

// A connect costs several times a datagram's socket: of a crowd one in a turn.
TEST_F(UdpToTcpTest, OfACrowdOneStreamBeginsInATurn) {
  constexpr std::size_t kClients = 60;
  constexpr std::size_t kFirstBatch = 32;
  const UniqueFd listener = backend();
  listen_with(rule_to({port_of(listener.get())}));
  const std::vector<Peer> crowd(kClients);
  for (const Peer& one : crowd) ASSERT_EQ(one.send(door, "x"), 0);
  turn();
  EXPECT_LE(forwarder->sessions(), kFirstBatch + 1);
  while (forwarder->sessions() < kClients) {
    const std::size_t before = forwarder->sessions();
    turn();
    ASSERT_EQ(forwarder->sessions(), before + 1);
  }
}

TEST_F(UdpToTcpTest, OneStreamForEachClientAndSequentialRequests) {
  const UniqueFd listener = backend();
  listen_with(rule_to({port_of(listener.get())}));
  const Peer one;
  const Peer two;
  std::vector<Stream> streams;
  for (const Peer* client : {&one, &two}) {
    ASSERT_EQ(client->send(door, "hello"), 0);
    auto stream = accepted(listener);
    ASSERT_TRUE(stream);
    streams.push_back(std::move(*stream));
    EXPECT_EQ(text_of(read_exactly(streams.back(), 5)), "hello");
  }
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < 2; ++i) {
      const Peer& client = i == 0 ? one : two;
      const std::string request = fmt::format("request {} of {}", round, i);
      ASSERT_EQ(client.send(door, request), 0);
      EXPECT_EQ(text_of(read_exactly(streams[i], request.size())), request);
      streams[i].send(bytes_of("re " + request));
      const Received answer = wait_for(client);
      EXPECT_EQ(text_of(answer.bytes), "re " + request);
      EXPECT_EQ(answer.from, door);
    }
  }
  EXPECT_FALSE(accepted(listener));
  EXPECT_EQ(forwarder->sessions(), 2U);
  EXPECT_EQ(used->targets.active(0), 2U);
  EXPECT_EQ(logged("\"event\":\"opened\""), 2U);
}

TEST_F(UdpToTcpTest, RawBytesOfManyDatagramsStayInOrder) {
  const UniqueFd listener = backend();
  listen_with(rule_to({port_of(listener.get())}));
  const Peer client;
  Bytes sent;
  std::optional<Stream> stream;
  Bytes got;
  for (unsigned i = 0; i < 300; ++i) {
    const Bytes bytes = pattern(i % 900, i);
    ASSERT_EQ(client.send(door, bytes), 0);
    sent.insert(sent.end(), bytes.begin(), bytes.end());
    if (i % 50 != 49) continue;
    if (!stream) stream = accepted(listener);
    ASSERT_TRUE(stream);
    const Bytes more = read_exactly(*stream, sent.size() - got.size());
    got.insert(got.end(), more.begin(), more.end());
  }
  EXPECT_EQ(got, sent);
  EXPECT_EQ(counters->datagrams_dropped, 0U);
  forwarder->end_all();
  EXPECT_EQ(counters->bytes_to_target, sent.size());
}

TEST_F(UdpToTcpTest, FramesKeepBordersBothWays) {
  const UniqueFd listener = backend();
  listen_with(rule_to({port_of(listener.get())}, Framing::kLength16));
  const Peer client;
  const Bytes large = pattern(65'507);
  const Bytes small = pattern(3);
  for (const Bytes& bytes : {small, Bytes{}, large, small}) ASSERT_EQ(client.send(door, bytes), 0);
  auto stream = accepted(listener);
  ASSERT_TRUE(stream);
  const Bytes expected = framed({small, {}, large, small});
  EXPECT_EQ(read_exactly(*stream, expected.size()), expected);
  // Back, cut where it hurts.
  const Bytes answers = framed({{}, small, large, pattern(1472)});
  for (std::size_t at = 0; at < answers.size();) {
    const std::size_t size = std::min<std::size_t>(at < 8 ? 1 : 40'000, answers.size() - at);
    stream->send({answers.begin() + static_cast<std::ptrdiff_t>(at),
                  answers.begin() + static_cast<std::ptrdiff_t>(at + size)});
    at += size;
    settle(2);
  }
  for (const Bytes& answer : {Bytes{}, small, large, pattern(1472)}) {
    EXPECT_EQ(wait_for(client).bytes, answer);
  }
}

TEST_F(UdpToTcpTest, FramesThatNoDatagramCanCarryAreDropped) {
  const UniqueFd listener = backend();
  listen_with(rule_to({port_of(listener.get())}, Framing::kLength16));
  const Peer client;
  ASSERT_EQ(client.send(door, "x"), 0);
  auto stream = accepted(listener);
  ASSERT_TRUE(stream);
  stream->send(framed({pattern(65'535), bytes_of("good")}));
  EXPECT_EQ(text_of(wait_for(client).bytes), "good");
  EXPECT_EQ(counters->datagrams_dropped, 1U);
}

TEST_F(UdpToTcpTest, AStreamThatEndsInsideAFrameEndsTheSessionWithAnError) {
  const UniqueFd listener = backend();
  listen_with(rule_to({port_of(listener.get())}, Framing::kLength16));
  const Peer client;
  ASSERT_EQ(client.send(door, "x"), 0);
  auto stream = accepted(listener);
  ASSERT_TRUE(stream);
  (void)read_exactly(*stream, 3);
  stream->send({0, 10, 'h', 'a', 'l', 'f'});
  stream->close();
  EXPECT_TRUE(until([&] { return forwarder->sessions() == 0; }));
  EXPECT_EQ(logged("\"target-closed\""), 1U);
  EXPECT_TRUE(silent(client));
}

TEST_F(UdpToTcpTest, AnswersBeforeAResetReachTheClient) {
  const UniqueFd listener = backend();
  listen_with(rule_to({port_of(listener.get())}, Framing::kLength16));
  const Peer client;
  ASSERT_EQ(client.send(door, "one"), 0);
  auto stream = accepted(listener);
  ASSERT_TRUE(stream);
  stream->send(framed({bytes_of("answer one"), bytes_of("answer two")}));
  stream->reset();  // "one" is unread, and both are there before the forwarder looks.
  ASSERT_EQ(client.send(door, "two"), 0);  // A write meets the reset before anything is read.
  EXPECT_EQ(text_of(wait_for(client).bytes), "answer one");
  EXPECT_EQ(text_of(wait_for(client).bytes), "answer two");
  EXPECT_TRUE(until([&] { return logged("\"target-reset\"") == 1; }));
}

TEST_F(UdpToTcpTest, LateAnswersArrive) {
  const UniqueFd listener = backend();
  listen_with(rule_to({port_of(listener.get())}));
  const Peer client;
  ASSERT_EQ(client.send(door, "x"), 0);
  auto stream = accepted(listener);
  ASSERT_TRUE(stream);
  for (int i = 0; i < 3; ++i) {
    move_on(70s);
    stream->send(bytes_of("late"));
    EXPECT_EQ(text_of(wait_for(client).bytes), "late");
  }
}

TEST_F(UdpToTcpTest, AnIdleSessionEndsItsStreamAndTheNextDatagramBeginsAnother) {
  const UniqueFd listener = backend();
  listen_with(rule_to({port_of(listener.get())}));
  const Peer client;
  for (int round = 0; round < 2; ++round) {
    ASSERT_EQ(client.send(door, "x"), 0);
    auto stream = accepted(listener);
    ASSERT_TRUE(stream);
    (void)read_exactly(*stream, 1);
    move_on(73s);
    EXPECT_EQ(forwarder->sessions(), 0U);
    EXPECT_TRUE(until([&] { return stream->read().empty() && stream->ended; }));
  }
  EXPECT_EQ(logged("\"idle\""), 2U);
  EXPECT_EQ(counters->active, 0U);
}

TEST_F(UdpToTcpTest, ABackendThatIsDownIsTriedAgainAfterABackOff) {
  std::optional<UniqueFd> listener(backend());
  const std::uint16_t at = port_of(listener->get());
  listener.reset();
  listen_with(rule_to({at}));
  const Peer client;
  for (int i = 0; i < 3; ++i) ASSERT_EQ(client.send(door, "lost"), 0);
  settle();
  ASSERT_EQ(client.send(door, "lost"), 0);
  settle();
  EXPECT_EQ(counters->connect_failed, 1U);
  EXPECT_EQ(counters->datagrams_dropped, 4U);
  EXPECT_EQ(logged("\"connect-failed\""), 1U);
  EXPECT_EQ(logged("\"event\":\"opened\""), 0U);
  listener.emplace(backend(at));
  move_on(201ms);
  ASSERT_EQ(client.send(door, "found"), 0);
  auto stream = accepted(*listener);
  ASSERT_TRUE(stream);
  EXPECT_EQ(text_of(read_exactly(*stream, 5)), "found");
  // Down in the middle, by FIN and by RST.
  for (const bool with_reset : {false, true}) {
    if (with_reset) {
      stream->reset();
    } else {
      stream->close();
    }
    EXPECT_TRUE(until([&] { return forwarder->sessions() == 0; }));
    ASSERT_EQ(client.send(door, "again"), 0);
    stream = accepted(*listener);
    ASSERT_TRUE(stream);
    EXPECT_EQ(text_of(read_exactly(*stream, 5)), "again");
  }
  EXPECT_EQ(logged("\"target-closed\""), 1U);
  EXPECT_EQ(logged("\"target-reset\""), 1U);
  EXPECT_EQ(counters->active, 1U);
}

TEST_F(UdpToTcpTest, WhatCameWhileConnectingGoesToTheTargetThatAnswers) {
  // A listener whose queue is full swallows SYNs.
  UniqueFd mute = listening_socket(0, 0);
  std::vector<UniqueFd> fillers;
  for (int i = 0; i < 3; ++i) {
    fillers.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const sockaddr_in name = loopback(port_of(mute.get()));
    (void)connect(fillers.back().get(), reinterpret_cast<const sockaddr*>(&name), sizeof name);
  }
  const UniqueFd listener = backend();
  Rule rule = rule_to({port_of(mute.get()), port_of(listener.get())});
  rule.timeouts.connect = 60s;
  rule.targets[1].weight = 0;  // So that the mute one is first.
  listen_with(std::move(rule));
  const Peer client;
  ASSERT_EQ(client.send(door, "one "), 0);
  settle();
  ASSERT_EQ(client.send(door, "two"), 0);
  EXPECT_FALSE(accepted(listener));
  EXPECT_EQ(logged("\"event\":\"opened\""), 0U);
  // What does not fit is dropped.
  for (int i = 0; i < 3; ++i) ASSERT_EQ(client.send(door, pattern(60'000)), 0);
  settle();
  EXPECT_EQ(counters->datagrams_dropped, 1U);
  move_on(61s);
  auto stream = accepted(listener);
  ASSERT_TRUE(stream);
  const Bytes got = read_exactly(*stream, 7 + 120'000);
  EXPECT_EQ(text_of({got.begin(), got.begin() + 7}), "one two");
  EXPECT_EQ(used->targets.active(0), 0U);
  EXPECT_EQ(logged("\"event\":\"opened\""), 1U);
}

TEST_F(UdpToTcpTest, AddressesOfOneNameAreTriedSideBySideAndAFewAtATime) {
  const SilentPort port;
  const UniqueFd listener = port.listen_at(99);
  fcntl(listener.get(), F_SETFL, O_NONBLOCK);
  Rule rule = rule_to({port.port()});
  rule.targets[0].place.host = "db.test";
  rule.timeouts.connect = 60s;
  listen_with(std::move(rule));
  std::vector<wire::IpAddress> addresses;
  for (int i = 2; i < 22; ++i) {
    addresses.push_back(wire::parse_ip("127.0.0." + std::to_string(i)).value());
  }
  addresses.push_back(wire::parse_ip("127.0.0.99").value());
  used->targets.set_addresses(0, addresses);
  const Peer client;
  const std::size_t before = open_descriptors();
  ASSERT_EQ(client.send(door, "found"), 0);
  settle();
  EXPECT_EQ(open_descriptors(), before + 1);
  std::size_t most = 0;
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(logged("\"event\":\"opened\""), 0U);
    move_on(251ms);
    most = std::max(most, open_descriptors() - before);
  }
  EXPECT_EQ(most, ConnectRaces::kRunnersMax);
  auto stream = accepted(listener);
  ASSERT_TRUE(stream);
  EXPECT_EQ(text_of(read_exactly(*stream, 5)), "found");
  EXPECT_EQ(open_descriptors(), before + 2);  // Both ends of the one that won.
  EXPECT_EQ(logged("\"event\":\"opened\""), 1U);
  EXPECT_EQ(counters->connect_failed, 0U);
  EXPECT_EQ(used->targets.active(0), 1U);
}

TEST_F(UdpToTcpTest, AStreamThatTakesNothingLosesDatagramsAndNothingElse) {
  const UniqueFd listener = backend();
  listen_with(rule_to({port_of(listener.get())}, Framing::kLength16));
  const Peer client;
  constexpr std::uint64_t kDatagrams = 600;
  for (std::uint64_t i = 0; i < kDatagrams; ++i) {
    ASSERT_EQ(client.send(door, pattern(30'000, static_cast<unsigned>(i))), 0);
    turn(0ms);
  }
  settle();
  EXPECT_GT(counters->datagrams_dropped, 0U);
  const std::size_t seen = events_seen;
  settle();
  EXPECT_EQ(events_seen, seen);  // Nothing turns in circles.
  auto stream = accepted(listener);
  ASSERT_TRUE(stream);
  // What arrives are whole frames, and each datagram arrived or was counted.
  FrameReader reader;
  std::uint64_t frames = 0;
  EXPECT_TRUE(until([&] {
    const Bytes bytes = stream->read();
    reader.feed(bytes);
    ByteView frame;
    while (reader.next(frame)) {
      EXPECT_EQ(frame.size(), 30'000U);
      ++frames;
    }
    reader.settle();
    return frames + counters->datagrams_dropped == kDatagrams;
  })) << frames;
  EXPECT_FALSE(reader.inside_frame());
}

TEST_F(UdpToTcpTest, AUnixSocketIsATargetToo) {
  const std::string path = "@sluice-udp-test-" + std::to_string(getpid());
  const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  path.copy(name.sun_path, path.size());
  name.sun_path[0] = '\0';
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<const sockaddr*>(&name),
                 static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size())),
            0);
  ASSERT_EQ(listen(listener.get(), 5), 0);
  Rule rule = rule_to({1});
  rule.targets[0].place.path = path;
  listen_with(std::move(rule));
  const Peer client;
  ASSERT_EQ(client.send(door, "x"), 0);
  auto stream = accepted(listener);
  ASSERT_TRUE(stream);
  EXPECT_EQ(text_of(read_exactly(*stream, 1)), "x");
  stream->send(bytes_of("y"));
  EXPECT_EQ(text_of(wait_for(client).bytes), "y");
}

TEST_F(UdpToTcpTest, ASilentBackendCostsNothingAndIsWaitedFor) {
  const UniqueFd listener = backend();
  listen_with(rule_to({port_of(listener.get())}));
  const Peer client;
  const Peer other;
  ASSERT_EQ(client.send(door, "x"), 0);
  ASSERT_EQ(other.send(door, "y"), 0);
  auto first = accepted(listener);
  auto second = accepted(listener);
  ASSERT_TRUE(first && second);
  settle();
  const std::size_t seen = events_seen;
  settle();
  EXPECT_EQ(events_seen, seen);
  // One that is silent holds nobody up.
  const bool first_is_client = text_of(read_exactly(*first, 1)) == "x";
  (first_is_client ? *second : *first).send(bytes_of("z"));
  EXPECT_EQ(text_of(wait_for(other).bytes), "z");
}

TEST_F(UdpToTcpTest, ASessionOfAClosedListenerGoesOn) {
  const UniqueFd listener = backend();
  UniqueFd fd = bound_socket(SOCK_DGRAM | SOCK_NONBLOCK);
  door = endpoint("127.0.0.1", port_of(fd.get()));
  const auto rule = live(rule_to({port_of(listener.get())}));
  const SlabHandle handle =
      *forwarder->listen(listener_socket(fd.release(), rule->plan), rule, door.port.value, 0);
  const Peer client;
  ASSERT_EQ(client.send(door, "x"), 0);
  auto stream = accepted(listener);
  ASSERT_TRUE(stream);
  forwarder->close(handle);
  stream->send(bytes_of("answer"));
  EXPECT_EQ(text_of(wait_for(client).bytes), "answer");
  stream->close();
  EXPECT_TRUE(until([&] { return forwarder->sessions() == 0; }));
  const Peer successor("127.0.0.1", door.port.value);
}

}  // namespace
}  // namespace sluice::forward
