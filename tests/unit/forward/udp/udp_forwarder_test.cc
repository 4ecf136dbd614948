// UDP to UDP with real sockets on the loopback.
#include "forward/udp/udp_forwarder.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "unit/forward/udp/udp_fixture.h"

namespace sluice::forward {
namespace {

using namespace testing;
using policy::Protocol;

class UdpForwarderTest : public LoopFixture<UdpForwarder> {
 protected:
  Rule rule_to(std::initializer_list<wire::Endpoint> targets) {
    return datagram_rule(Protocol::kUdp, Protocol::kUdp, targets);
  }
  SlabHandle listen_at(std::shared_ptr<LiveRule> rule, const char* address = "127.0.0.1",
                       bool dual = false, std::uint16_t wanted_port = 0) {
    const sys::SocketAddress name = sys::to_sockaddr(endpoint(address, wanted_port));
    const int fd = socket(name.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int v6only = dual ? 0 : 1;
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only);
    const int shared = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &shared, sizeof shared);
    EXPECT_EQ(bind(fd, name.get(), name.length), 0);
    port = port_of_socket(fd);
    door = endpoint("127.0.0.1", port);
    counters = rule->counters;
    sys::KernelFd opened = listener_socket(fd, rule->plan);
    return *forwarder->listen(std::move(opened), std::move(rule), port, 0);
  }
  static std::uint16_t port_of_socket(int fd) {
    sys::SocketAddress name;
    getsockname(fd, name.get(), &name.length);
    return sys::from_sockaddr(name.storage, name.length)->port.value;
  }
  // A datagram there and its answer back.
  void round_trip(const Peer& client, const Peer& target, const Bytes& bytes) {
    ASSERT_EQ(client.send(door, bytes), 0);
    const Received there = wait_for(target);
    EXPECT_EQ(there.bytes, bytes);
    ASSERT_EQ(target.send(there.from, there.bytes), 0);
    const Received back = wait_for(client);
    EXPECT_EQ(back.bytes, bytes);
    EXPECT_EQ(back.from, door);
  }

  void bound(std::size_t sessions) {
    forwarder = std::make_unique<UdpForwarder>(context, UdpBounds{.sessions = sessions});
  }
  // Where the client's session sends from.
  wire::Endpoint session_of(const Peer& client, const Peer& target) {
    EXPECT_EQ(client.send(door, "who?"), 0);
    return wait_for(target).from;
  }

  std::uint16_t port = 0;
  wire::Endpoint door;  // Where clients send to.
  std::shared_ptr<RuleCounters> counters;
};

TEST_F(UdpForwarderTest, ManyClientsInterleavedEachGetTheirOwnAnswers) {
  const Peer target;
  (void)listen_at(live(rule_to({target.at()})));
  constexpr std::size_t kClients = 40;
  const std::vector<Peer> clients(kClients);
  for (int round = 0; round < 3; ++round) {
    std::vector<Received> requests;
    for (std::size_t i = 0; i < kClients; ++i) {
      ASSERT_EQ(clients[i].send(door, fmt::format("{} {}", round, i)), 0);
    }
    for (std::size_t i = 0; i < kClients; ++i) requests.push_back(wait_for(target));
    // Answers in the reverse order.
    for (auto it = requests.rbegin(); it != requests.rend(); ++it) {
      ASSERT_EQ(target.send(it->from, "re " + text_of(it->bytes)), 0);
    }
    for (std::size_t i = 0; i < kClients; ++i) {
      EXPECT_EQ(text_of(wait_for(clients[i]).bytes), fmt::format("re {} {}", round, i));
    }
  }
  EXPECT_EQ(forwarder->sessions(), kClients);
  EXPECT_EQ(counters->accepted, kClients);
  EXPECT_EQ(counters->active, kClients);
  EXPECT_EQ(counters->datagrams_dropped, 0U);
  EXPECT_EQ(logged("\"opened\""), kClients * 2);  // The event's name, and the result's.
}

// Root's buffers may exceed net.core.rmem_max, to which setting them again would cut them.
TEST_F(UdpForwarderTest, AListenersSocketKeepsItsOptions) {
  const auto buffer_of = [](int fd, int name) {
    int size = 0;
    socklen_t length = sizeof size;
    EXPECT_EQ(getsockopt(fd, SOL_SOCKET, name, &size, &length), 0);
    return size;
  };
  UniqueFd fd = bound_socket(SOCK_DGRAM | SOCK_NONBLOCK);
  const int number = fd.get();
  const Rule rule = rule_to({endpoint("127.0.0.1", 9)});
  sys::KernelFd opened = listener_socket(fd.release(), rule);
  const int small = 8192;
  setsockopt(number, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  const int send_buffer = buffer_of(number, SO_SNDBUF);
  (void)forwarder->listen(std::move(opened), live(rule), 1, 0);
  EXPECT_EQ(buffer_of(number, SO_RCVBUF), 2 * small);  // socket(7): the kernel doubles it.
  EXPECT_EQ(buffer_of(number, SO_SNDBUF), send_buffer);
}

TEST_F(UdpForwarderTest, SizesFromNothingToTheLargestBothWays) {
  const Peer target;
  (void)listen_at(live(rule_to({target.at()})));
  const Peer client;
  for (const std::size_t size : {0UL, 1UL, 1472UL, 1473UL, 9000UL, 65'000UL, 65'507UL, 0UL}) {
    round_trip(client, target, pattern(size));
  }
  EXPECT_EQ(forwarder->sessions(), 1U);
  EXPECT_EQ(counters->datagrams_dropped, 0U);
}

TEST_F(UdpForwarderTest, ALateAnswerArrives) {
  const Peer target;
  (void)listen_at(live(rule_to({target.at()})));
  const Peer client;
  ASSERT_EQ(client.send(door, "request"), 0);
  const Received request = wait_for(target);
  move_on(71s);
  ASSERT_EQ(target.send(request.from, "first"), 0);
  EXPECT_EQ(text_of(wait_for(client).bytes), "first");
  // The answer refreshed the session.
  move_on(71s);
  ASSERT_EQ(target.send(request.from, "second"), 0);
  EXPECT_EQ(text_of(wait_for(client).bytes), "second");
  EXPECT_EQ(logged("\"idle\""), 0U);
}

TEST_F(UdpForwarderTest, ASessionExpiresAndTheNextWorks) {
  const Peer target;
  (void)listen_at(live(rule_to({target.at()})));
  const Peer client;
  const std::size_t before = open_descriptors();
  for (int round = 1; round <= 3; ++round) {
    round_trip(client, target, pattern(100));
    EXPECT_EQ(forwarder->sessions(), 1U);
    // The client's traffic alone refreshes it, too.
    move_on(50s);
    ASSERT_EQ(client.send(door, "still here"), 0);
    (void)wait_for(target);
    move_on(50s);
    EXPECT_EQ(forwarder->sessions(), 1U);
    move_on(23s);
    EXPECT_EQ(forwarder->sessions(), 0U);
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_EQ(counters->active, 0U);
    EXPECT_EQ(logged("\"idle\""), static_cast<std::size_t>(round));
  }
  EXPECT_EQ(counters->accepted, 3U);
  EXPECT_EQ(counters->bytes_to_target, 3U * 110);
  EXPECT_EQ(counters->bytes_to_client, 3U * 100);
}

TEST_F(UdpForwarderTest, BurstsKeepTheirOrderBothWays) {
  const Peer target;
  (void)listen_at(live(rule_to({target.at()})));
  const Peer client;
  constexpr int kDatagrams = 1000;
  int expected = 0;
  wire::Endpoint from;
  for (int i = 0; i < kDatagrams; ++i) {
    // Sizes differ, so that rows of equal size begin and end.
    Bytes bytes = pattern(20 + static_cast<std::size_t>(i / 37) * 10);
    bytes[0] = static_cast<std::uint8_t>(i >> 8);
    bytes[1] = static_cast<std::uint8_t>(i);
    ASSERT_EQ(client.send(door, bytes), 0);
    if (i % 100 != 99) continue;
    for (; expected <= i; ++expected) {
      const Received received = wait_for(target);
      ASSERT_EQ((received.bytes[0] << 8) | received.bytes[1], expected);
      from = received.from;
    }
  }
  int back = 0;
  for (int i = 0; i < kDatagrams; ++i) {
    ASSERT_EQ(target.send(from, std::to_string(i)), 0);
    if (i % 100 != 99) continue;
    for (; back <= i; ++back) ASSERT_EQ(text_of(wait_for(client).bytes), std::to_string(back));
  }
  EXPECT_EQ(forwarder->sessions(), 1U);
  EXPECT_EQ(counters->datagrams_dropped, 0U);
}

TEST_F(UdpForwarderTest, JoinedDatagramsKeepTheirBorders) {
  const Peer target;
  (void)listen_at(live(rule_to({target.at()})));
  const Peer client;
  const Bytes bytes = pattern(40 * 1000 + 300);
  ASSERT_EQ(client.send_segments(door, bytes, 1000), 0);
  Bytes got;
  wire::Endpoint from;
  for (int i = 0; i <= 40; ++i) {
    const Received received = wait_for(target);
    EXPECT_EQ(received.bytes.size(), i < 40 ? 1000U : 300U);
    got.insert(got.end(), received.bytes.begin(), received.bytes.end());
    from = received.from;
  }
  EXPECT_EQ(got, bytes);
  ASSERT_EQ(target.send_segments(from, bytes, 1400), 0);
  Bytes back;
  while (back.size() < bytes.size()) {
    const Received received = wait_for(client);
    ASSERT_FALSE(received.bytes.empty());
    back.insert(back.end(), received.bytes.begin(), received.bytes.end());
  }
  EXPECT_EQ(back, bytes);
}

TEST_F(UdpForwarderTest, ATargetThatIsDownEndsTheSessionAndIsTriedAnew) {
  std::optional<Peer> target(std::in_place);
  const wire::Endpoint at = target->at();
  target.reset();
  (void)listen_at(live(rule_to({at})));
  const Peer client;
  ASSERT_EQ(client.send(door, "lost"), 0);
  EXPECT_TRUE(until([&] { return counters->accepted == 1 && forwarder->sessions() == 0; }));
  EXPECT_EQ(logged("\"target-reset\""), 1U);
  target.emplace("127.0.0.1", at.port.value);
  round_trip(client, *target, bytes_of("found"));
  // And down again in the middle.
  target.reset();
  ASSERT_EQ(client.send(door, "lost"), 0);
  EXPECT_TRUE(until([&] { return forwarder->sessions() == 0; }));
  target.emplace("127.0.0.1", at.port.value);
  round_trip(client, *target, bytes_of("found"));
  EXPECT_EQ(counters->accepted, 3U);
}

TEST_F(UdpForwarderTest, ASessionWithoutAnswerMovesToTheNextTarget) {
  const Peer target;
  Peer gone;
  const wire::Endpoint down = gone.at();
  gone.close();
  auto rule = live(rule_to({down, target.at()}));
  (void)listen_at(rule);
  for (int i = 0; i < 4; ++i) {
    const Peer client;
    // The first may meet the one that is down.
    ASSERT_EQ(client.send(door, "a"), 0);
    settle();
    ASSERT_EQ(client.send(door, "b"), 0);
    EXPECT_TRUE(until([&] {
      const auto received = target.receive();
      return received && text_of(received->bytes) == "b";
    }));
  }
  EXPECT_EQ(forwarder->sessions(), 4U);
  EXPECT_EQ(rule->targets.active(0), 0U);
  EXPECT_EQ(rule->targets.active(1), 4U);
  forwarder->end_all();
  EXPECT_EQ(rule->targets.active(1), 0U);
}

TEST_F(UdpForwarderTest, AClientThatWentAwayEndsItsSessionAndTheTargetHears) {
  Peer target;
  (void)listen_at(live(rule_to({target.at()})));
  std::optional<Peer> client(std::in_place);
  const Peer other;
  ASSERT_EQ(client->send(door, "x"), 0);
  const Received request = wait_for(target);
  round_trip(other, target, bytes_of("y"));
  client.reset();
  ASSERT_EQ(target.send(request.from, "too late"), 0);
  EXPECT_TRUE(until([&] { return forwarder->sessions() == 1; }));
  EXPECT_EQ(logged("\"client-reset\""), 1U);
  // The session's port is closed: the kernel tells the target.
  target.connect_to(request.from);
  ASSERT_EQ(target.send(request.from, "anyone?"), 0);
  EXPECT_EQ(target.send(request.from, "anyone?"), ECONNREFUSED);
}

TEST_F(UdpForwarderTest, ADualStackListenerHearsOfClientsThatWentAway) {
  const Peer target;
  (void)listen_at(live(rule_to({target.at()})), "::", true);
  for (const char* address : {"127.0.0.1", "::1"}) {
    door = endpoint(address, port);
    std::optional<Peer> client(std::in_place, address);
    ASSERT_EQ(client->send(door, "x"), 0);
    const Received request = wait_for(target);
    EXPECT_EQ(forwarder->sessions(), 1U);
    client.reset();
    ASSERT_EQ(target.send(request.from, "too late"), 0);
    EXPECT_TRUE(until([&] { return forwarder->sessions() == 0; })) << address;
  }
}

TEST_F(UdpForwarderTest, DeniedClientsReachNothingAndAreLoggedOnce) {
  const Peer target;
  Rule rule = rule_to({target.at()});
  rule.access.deny.push_back(policy::AddressPattern::parse("127.0.0.2").value());
  (void)listen_at(live(std::move(rule)));
  const Peer denied("127.0.0.2");
  const Peer allowed("127.0.0.3");
  for (int i = 0; i < 20; ++i) ASSERT_EQ(denied.send(door, "secret"), 0);
  EXPECT_TRUE(silent(target));
  EXPECT_EQ(counters->not_allowed, 20U);
  EXPECT_EQ(counters->accepted, 0U);
  EXPECT_EQ(forwarder->sessions(), 0U);
  EXPECT_EQ(logged("\"denied\""), 1U);
  round_trip(allowed, target, bytes_of("open"));
}

TEST_F(UdpForwarderTest, LimitsRefuseNewSessionsAndKeepOldOnes) {
  const Peer target;
  Rule rule = rule_to({target.at()});
  rule.client_limits.connections = 2;
  (void)listen_at(live(std::move(rule)));
  const Peer first;
  const Peer second;
  const Peer third;
  round_trip(first, target, bytes_of("1"));
  round_trip(second, target, bytes_of("2"));
  for (int i = 0; i < 5; ++i) ASSERT_EQ(third.send(door, "3"), 0);
  EXPECT_TRUE(silent(target));
  EXPECT_EQ(counters->limited, 5U);
  EXPECT_EQ(counters->datagrams_dropped, 5U);
  EXPECT_EQ(logged("\"limited\""), 1U);
  round_trip(first, target, bytes_of("1"));
  move_on(73s);
  round_trip(third, target, bytes_of("3"));
}

TEST_F(UdpForwarderTest, AtTheBoundTheOldestThatSpokeOnceMakesRoom) {
  bound(3);
  const Peer target;
  (void)listen_at(live(rule_to({target.at()})));
  const Peer talker;
  const Peer mute;
  const Peer answered_once;
  round_trip(talker, target, bytes_of("t"));
  round_trip(talker, target, bytes_of("t"));
  ASSERT_EQ(mute.send(door, "m"), 0);
  const Received asked = wait_for(target);
  round_trip(answered_once, target, bytes_of("a"));
  // A flood of sources that speak once, of which some are answered: none waits.
  std::vector<Peer> crowd(20);
  for (const Peer& one : crowd) round_trip(one, target, bytes_of("4"));
  EXPECT_EQ(forwarder->sessions(), 3U);
  EXPECT_EQ(counters->limited, 0U);
  EXPECT_EQ(target.send(asked.from, "late"), 0);
  EXPECT_TRUE(silent(mute));
  // A conversation never makes room for them.
  const wire::Endpoint before = session_of(talker, target);
  for (const Peer& one : crowd) ASSERT_EQ(one.send(door, "5"), 0);
  settle();
  while (target.receive()) {
  }
  EXPECT_EQ(session_of(talker, target), before);
}

TEST_F(UdpForwarderTest, AtTheBoundConversationsMakeRoomOnceTheyAreQuiet) {
  bound(2);
  const Peer target;
  (void)listen_at(live(rule_to({target.at()})));
  const Peer unanswered;
  const Peer answered;
  const Peer third;
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(unanswered.send(door, "u"), 0);
    (void)wait_for(target);
    round_trip(answered, target, bytes_of("a"));
  }
  ASSERT_EQ(third.send(door, "3"), 0);
  EXPECT_TRUE(silent(target));
  EXPECT_EQ(counters->limited, 1U);
  move_on(2s);
  round_trip(third, target, bytes_of("3"));
  round_trip(third, target, bytes_of("3"));
  // The one without an answer made room; the others are in conversation.
  ASSERT_EQ(unanswered.send(door, "u"), 0);
  EXPECT_TRUE(silent(target));
  move_on(UdpForwarder::kQuietConversation);
  round_trip(unanswered, target, bytes_of("u"));
  EXPECT_EQ(forwarder->sessions(), 2U);
}

TEST_F(UdpForwarderTest, WithoutADescriptorASessionMakesRoom) {
  const Peer target;
  (void)listen_at(live(rule_to({target.at()})));
  std::vector<Peer> clients(4);
  for (const Peer& client : clients) round_trip(client, target, bytes_of("1"));
  const Peer last;
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  // Every number below the limit is in use.
  std::vector<UniqueFd> filling;
  while (filling.size() < 64) filling.emplace_back(dup(0));
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(filling.back().get()) + 1;
  setrlimit(RLIMIT_NOFILE, &tight);
  ASSERT_EQ(last.send(door, "2"), 0);
  const Received asked = wait_for(target);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(text_of(asked.bytes), "2");
  EXPECT_EQ(forwarder->sessions(), 4U);
  EXPECT_EQ(counters->connect_failed, 0U);
}

TEST_F(UdpForwarderTest, NewSessionsAreBoundedInTimeAndOldOnesGoOn) {
  forwarder = std::make_unique<UdpForwarder>(context, UdpBounds{.new_per_second = 1});
  const Peer target;
  (void)listen_at(live(rule_to({target.at()})));
  const Peer talker;
  round_trip(talker, target, bytes_of("t"));
  std::vector<Peer> crowd(4);  // As many as begin in a turn.
  const auto flood = [&] {
    for (std::size_t i = 0; i < 6'000 / crowd.size(); ++i) {
      for (Peer& one : crowd) {
        one = Peer();
        ASSERT_EQ(one.send(door, "x"), 0);
      }
      turn();
      while (target.receive()) {
      }
    }
  };
  flood();
  EXPECT_GT(counters->limited, 0U);
  round_trip(talker, target, bytes_of("t"));
}

// What a turn takes is what connections of the same worker wait for.
TEST_F(UdpForwarderTest, OfACrowdFewSessionsBeginInATurn) {
  constexpr std::size_t kClients = 100;
  constexpr std::size_t kFirstBatch = 32;  // Before it is known to be a crowd.
  constexpr std::size_t kPerTurn = 4;
  const Peer target;
  (void)listen_at(live(rule_to({target.at()})));
  const std::vector<Peer> crowd(kClients);
  for (const Peer& one : crowd) ASSERT_EQ(one.send(door, "x"), 0);
  turn();
  EXPECT_LE(forwarder->sessions(), kFirstBatch + kPerTurn);
  for (std::size_t before = 0; forwarder->sessions() < kClients;) {
    before = forwarder->sessions();
    turn();
    ASSERT_LE(forwarder->sessions(), before + kPerTurn);
    ASSERT_GT(forwarder->sessions(), before) << "nothing is begun any more";
  }
  EXPECT_EQ(counters->datagrams_dropped, 0U);
}

TEST_F(UdpForwarderTest, TwoCrowdsShareTheTurns) {
  constexpr std::size_t kClients = 80;
  const Peer target;
  const auto both = {live(rule_to({target.at()})), live(rule_to({target.at()}))};
  const std::vector<Peer> crowd(kClients);
  for (const auto& rule : both) {
    (void)listen_at(rule);
    for (const Peer& one : crowd) ASSERT_EQ(one.send(door, "x"), 0);
  }
  ASSERT_TRUE(until([&] { return forwarder->sessions() >= kClients * 3 / 2; }));
  for (const auto& rule : both) EXPECT_GT(rule->counters->accepted, kClients / 2);
}

TEST_F(UdpForwarderTest, AClientThatAsksAtTwoAddressesIsAnsweredFromEach) {
  const Peer target;
  for (const bool dual : {false, true}) {
    (void)listen_at(live(rule_to({target.at()})), dual ? "::" : "0.0.0.0", dual);
    const Peer client("0.0.0.0");
    for (int round = 0; round < 2; ++round) {
      for (const char* address : {"127.0.0.1", "127.0.0.9"}) {
        door = endpoint(address, port);
        round_trip(client, target, bytes_of(address));
      }
    }
  }
  EXPECT_EQ(forwarder->sessions(), 4U);
}

TEST_F(UdpForwarderTest, ASecondAddressOfIpv6IsAnsweredFromItToo) {
  const Peer target;
  (void)listen_at(live(rule_to({target.at()})), "::");
  const Peer client("::1");
  door = endpoint("::1", port);
  round_trip(client, target, bytes_of("6"));
  EXPECT_EQ(forwarder->sessions(), 1U);
}

TEST_F(UdpForwarderTest, AClosedListenerAnswersUntilItsSessionsEnd) {
  const Peer target;
  const SlabHandle listener = listen_at(live(rule_to({target.at()})));
  const Peer client;
  ASSERT_EQ(client.send(door, "request"), 0);
  const Received request = wait_for(target);
  ASSERT_EQ(client.send(door, "came before the end"), 0);
  forwarder->close(listener);
  EXPECT_EQ(text_of(wait_for(target).bytes), "came before the end");
  ASSERT_EQ(client.send(door, "unread"), 0);
  EXPECT_TRUE(silent(target));
  for (int i = 0; i < 3; ++i) {
    move_on(60s);
    ASSERT_EQ(target.send(request.from, "answer"), 0);
    EXPECT_EQ(text_of(wait_for(client).bytes), "answer");
  }
  // It does not wake us either.
  settle();
  const std::size_t seen = events_seen;
  ASSERT_EQ(client.send(door, "unread"), 0);
  settle();
  EXPECT_EQ(events_seen, seen);
  move_on(73s);
  EXPECT_EQ(forwarder->sessions(), 0U);
  const Peer successor("127.0.0.1", port);  // The port is free.
  forwarder->close(listener);               // Known no more.
}

TEST_F(UdpForwarderTest, SessionsOfAClosedListenerGoOnWithTheNextOneThere) {
  const Peer old_target;
  const Peer new_target;
  const SlabHandle closed = listen_at(live(rule_to({old_target.at()})));
  const Peer client;
  round_trip(client, old_target, bytes_of("before"));
  forwarder->close(closed);
  ASSERT_EQ(client.send(door, "to nobody"), 0);
  settle();
  const std::size_t descriptors = open_descriptors();
  (void)listen_at(live(rule_to({new_target.at()})), "127.0.0.1", false, port);
  EXPECT_EQ(open_descriptors(), descriptors);  // The old socket is closed.
  round_trip(client, old_target, bytes_of("after"));
  EXPECT_EQ(forwarder->sessions(), 1U);
  // The kernel would spread them over two sockets.
  const std::vector<Peer> others(20);
  for (const Peer& other : others) round_trip(other, new_target, bytes_of("new"));
  move_on(73s);
  EXPECT_EQ(forwarder->sessions(), 0U);
  round_trip(client, new_target, bytes_of("anew"));
}

TEST_F(UdpForwarderTest, AListenerOfAllAddressesTakesOverThoseOfOne) {
  const Peer target;
  const SlabHandle one = listen_at(live(rule_to({target.at()})));
  const wire::Endpoint first_door = door;
  const SlabHandle two = listen_at(live(rule_to({target.at()})), "127.0.0.2", false, port);
  const wire::Endpoint second_door = endpoint("127.0.0.2", port);
  const Peer client;
  const Peer of_both("0.0.0.0");
  door = second_door;
  round_trip(client, target, bytes_of("before"));
  std::vector<Received> asked;
  for (const wire::Endpoint& at : {first_door, second_door}) {
    ASSERT_EQ(of_both.send(at, "twice"), 0);
    asked.push_back(wait_for(target));
  }
  forwarder->close(one);
  forwarder->close(two);
  (void)listen_at(live(rule_to({target.at()})), "::", true, port);
  EXPECT_EQ(forwarder->sessions(), 3U);
  // Each answer comes from where its session's client had asked.
  for (std::size_t i = 0; i < asked.size(); ++i) {
    ASSERT_EQ(target.send(asked[i].from, "late"), 0);
    EXPECT_EQ(wait_for(of_both).from, i == 0 ? first_door : second_door);
  }
  door = second_door;
  round_trip(client, target, bytes_of("after"));
  EXPECT_EQ(forwarder->sessions(), 3U);
  move_on(73s);
  EXPECT_EQ(forwarder->sessions(), 0U);
  round_trip(client, target, bytes_of("anew"));
}

TEST_F(UdpForwarderTest, AnotherAddressHasNothingToDoWithAClosedListener) {
  const Peer old_target;
  const Peer new_target;
  const SlabHandle closed = listen_at(live(rule_to({old_target.at()})));
  const wire::Endpoint old_door = door;
  const Peer client;
  ASSERT_EQ(client.send(old_door, "request"), 0);
  const Received request = wait_for(old_target);
  forwarder->close(closed);
  (void)listen_at(live(rule_to({new_target.at()})), "127.0.0.2", false, port);
  ASSERT_EQ(old_target.send(request.from, "answer"), 0);
  EXPECT_EQ(wait_for(client).from, old_door);
  door = endpoint("127.0.0.2", port);
  round_trip(client, new_target, bytes_of("x"));
  EXPECT_EQ(forwarder->sessions(), 2U);
}

TEST_F(UdpForwarderTest, AListenerWithoutSessionsClosesAtOnce) {
  const Peer target;
  const std::size_t before = open_descriptors();
  const SlabHandle listener = listen_at(live(rule_to({target.at()})));
  EXPECT_EQ(open_descriptors(), before + 1);
  forwarder->close(listener);
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(UdpForwarderTest, ANewRuleIsForNewSessions) {
  const Peer old_target;
  const Peer new_target;
  const SlabHandle listener = listen_at(live(rule_to({old_target.at()})));
  const Peer before;
  const Peer after;
  round_trip(before, old_target, bytes_of("a"));
  forwarder->set_rule(listener, live(rule_to({new_target.at()})));
  round_trip(after, new_target, bytes_of("b"));
  round_trip(before, old_target, bytes_of("c"));
}

TEST_F(UdpForwarderTest, QuietSessionsEndAtADrain) {
  const Peer target;
  (void)listen_at(live(rule_to({target.at()})));
  const Peer quiet;
  const Peer busy;
  round_trip(quiet, target, bytes_of("q"));
  move_on(2s);
  round_trip(busy, target, bytes_of("b"));
  EXPECT_EQ(forwarder->end_quiet(1s), 1U);
  EXPECT_EQ(logged("\"stopped\""), 1U);
  forwarder->end_all();
  EXPECT_EQ(forwarder->sessions(), 0U);
  EXPECT_EQ(logged("\"stopped\""), 2U);
  EXPECT_EQ(counters->active, 0U);
}

TEST_F(UdpForwarderTest, AnswersComeFromTheAddressThatWasAsked) {
  const Peer target;
  (void)listen_at(live(rule_to({target.at()})), "0.0.0.0");
  const Peer client;
  for (const char* address : {"127.0.0.9", "127.0.0.1"}) {
    const Peer asker;
    door = endpoint(address, port);
    round_trip(asker, target, bytes_of(address));
  }
}

TEST_F(UdpForwarderTest, OneListenerForBothFamiliesAndTargetsOfTheOther) {
  const Peer target("::1");
  (void)listen_at(live(rule_to({target.at()})), "::", true);
  const Peer v4("127.0.0.5");
  const Peer v6("::1");
  door = endpoint("127.0.0.6", port);
  round_trip(v4, target, pattern(3000));
  door = endpoint("::1", port);
  round_trip(v6, target, pattern(65'000));
  EXPECT_EQ(logged("127.0.0.5"), 1U);
}

TEST_F(UdpForwarderTest, GroupedDatagramsOverADualStackSocketGoBackJoined) {
  const Peer target;
  (void)listen_at(live(rule_to({target.at()})), "::", true);
  const Peer client;
  door = endpoint("127.0.0.1", port);
  round_trip(client, target, bytes_of("x"));
  ASSERT_EQ(client.send(door, "more"), 0);
  const Received request = wait_for(target);
  ASSERT_EQ(target.send_segments(request.from, pattern(20'000), 500), 0);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(wait_for(client).bytes.size(), 500U);
}

TEST_F(UdpForwarderTest, TargetsSeeTheConfiguredSource) {
  const Peer target;
  Rule rule = rule_to({target.at()});
  rule.socket.source = wire::parse_ip("127.0.0.77").value();
  (void)listen_at(live(std::move(rule)));
  const Peer client;
  ASSERT_EQ(client.send(door, "x"), 0);
  EXPECT_EQ(wait_for(target).from.address, wire::parse_ip("127.0.0.77").value());
}

TEST_F(UdpForwarderTest, ATransparentSessionIsTheClient) {
  if (geteuid() != 0) GTEST_SKIP() << "needs CAP_NET_ADMIN";
  const Peer target;
  Rule rule = rule_to({target.at()});
  rule.socket.transparent = true;
  (void)listen_at(live(std::move(rule)));
  Peer client("127.0.0.1");
  const wire::Endpoint self = client.at();
  ASSERT_EQ(client.send(door, "x"), 0);
  // Were both on this machine at once, the two would compete for the port.
  client.close();
  EXPECT_EQ(wait_for(target).from, self);
}

TEST_F(UdpForwarderTest, AnUnusableSourceFailsTheSessionOnceInAWhile) {
  const Peer target;
  Rule rule = rule_to({target.at()});
  rule.socket.source = wire::parse_ip("203.0.113.1").value();  // Not ours.
  (void)listen_at(live(std::move(rule)));
  const Peer client;
  for (int i = 0; i < 10; ++i) ASSERT_EQ(client.send(door, "x"), 0);
  settle();
  EXPECT_EQ(counters->connect_failed, 1U);
  EXPECT_EQ(counters->datagrams_dropped, 10U);
  EXPECT_EQ(counters->active, 0U);
  EXPECT_EQ(logged("\"connect-failed\""), 1U);
  EXPECT_EQ(logged("\"opened\""), 0U);
  move_on(201ms);
  EXPECT_EQ(forwarder->sessions(), 0U);
  ASSERT_EQ(client.send(door, "x"), 0);
  settle();
  EXPECT_EQ(counters->connect_failed, 2U);
}

TEST_F(UdpForwarderTest, DatagramsOverTheRateAreDropped) {
  const Peer target;
  Rule rule = rule_to({target.at()});
  rule.limits.to_target_rate = 100'000;  // A burst of 5,000 bytes.
  rule.client_limits.to_client_rate = 100'000;
  (void)listen_at(live(std::move(rule)));
  const Peer client;
  for (int i = 0; i < 50; ++i) ASSERT_EQ(client.send(door, pattern(1000)), 0);
  settle();
  std::uint64_t there = 0;
  wire::Endpoint from;
  while (const auto received = target.receive()) {
    ++there;
    from = received->from;
  }
  EXPECT_GE(there, 5U);
  EXPECT_LE(there, 20U);
  EXPECT_EQ(counters->datagrams_dropped, 50 - there);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(target.send(from, pattern(1000)), 0);
  settle();
  std::uint64_t back = 0;
  while (client.receive()) ++back;
  EXPECT_GE(back, 5U);
  EXPECT_LE(back, 20U);
  EXPECT_EQ(counters->datagrams_dropped, 100 - there - back);
}

TEST_F(UdpForwarderTest, CountersAreTrueWhenAsked) {
  const Peer target;
  (void)listen_at(live(rule_to({target.at()})));
  const Peer client;
  round_trip(client, target, pattern(700));
  forwarder->publish_counters();
  EXPECT_EQ(counters->bytes_to_target, 700U);
  EXPECT_EQ(counters->bytes_to_client, 700U);
  round_trip(client, target, pattern(300));
  forwarder->end_all();
  EXPECT_EQ(counters->bytes_to_target, 1000U);
  EXPECT_EQ(counters->bytes_to_client, 1000U);
}

TEST_F(UdpForwarderTest, HundredsOfSessionsLeaveNothingBehind) {
  const Peer target;
  (void)listen_at(live(rule_to({target.at()})));
  const std::size_t before = open_descriptors();
  for (int round = 0; round < 2; ++round) {
    {
      const std::vector<Peer> clients(300);
      for (const Peer& client : clients) {
        ASSERT_EQ(client.send(door, "x"), 0);
        (void)wait_for(target);
      }
    }
    EXPECT_EQ(forwarder->sessions(), 300U);
    move_on(73s);
    settle();
    EXPECT_EQ(forwarder->sessions(), 0U);
    EXPECT_EQ(open_descriptors(), before);
  }
  EXPECT_EQ(logged("\"idle\""), 600U);
}

}  // namespace
}  // namespace sluice::forward
