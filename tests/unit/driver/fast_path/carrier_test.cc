// Connections that were handed over, each between two real sockets.
#include "driver/fast_path/carrier.h"

#include <gtest/gtest.h>

#include "unit/driver/fast_path/hand_overs_fixture.h"

namespace sluice::driver {
namespace {

using relay::pattern;

class CarrierTest : public FastPathFixture {
 protected:
  CarrierTest() { ready(); }

  // One end that is fed `bytes` as far as it takes them, and one that is read.
  struct Stream {
    int from = -1;
    int to = -1;
    std::string bytes;
    std::size_t sent = 0;
    relay::Received got = {};

    void step() {
      while (sent < bytes.size()) {
        const ssize_t now_sent =
            ::send(from, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (now_sent <= 0) break;
        sent += static_cast<std::size_t>(now_sent);
      }
      got.read_from(to);
    }
    [[nodiscard]] bool done() const { return got.bytes.size() >= bytes.size(); }
  };

  void run(std::vector<Stream>& streams) {
    EXPECT_TRUE(turn_until([&] {
      for (Stream& one : streams) one.step();
      return std::ranges::all_of(streams, &Stream::done);
    }));
    // Not with EXPECT_EQ: it would print megabytes.
    for (const Stream& one : streams) EXPECT_TRUE(one.got.bytes == one.bytes);
  }
  // Until the guest's end takes no more, whatever we pass on. Returns how many
  // bytes it took.
  std::size_t fill(int fd) {
    const std::string chunk = pattern(256 * 1024);
    std::size_t taken = 0;
    for (int full = 0; full < 5;) {
      const ssize_t sent = ::send(fd, chunk.data(), chunk.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      full = sent <= 0 ? full + 1 : 0;
      taken += sent <= 0 ? 0 : static_cast<std::size_t>(sent);
      turn();
    }
    return taken;
  }
  static void reset(UniqueFd& fd) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    EXPECT_EQ(::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    fd.reset();
  }
  static int error_of(int fd) {
    int error = 0;
    socklen_t length = sizeof error;
    EXPECT_EQ(::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length), 0);
    return error;
  }
  static void finish(const UniqueFd& fd) { EXPECT_EQ(::shutdown(fd.get(), SHUT_WR), 0); }
};

TEST_F(CarrierTest, EachOfManyGetsItsOwnBytesAndReport) {
  constexpr std::size_t kCount = 40;
  std::vector<Link> links;
  for (std::size_t i = 0; i < kCount; ++i) links.push_back(handed_over());
  EXPECT_EQ(carrier().size(), kCount);
  std::vector<Stream> streams;
  for (std::size_t i = 0; i < kCount; ++i) {
    const auto seed = static_cast<std::uint32_t>(i);
    streams.push_back({links[i].guest.get(), links[i].host.get(), pattern(1000 + i, seed)});
    streams.push_back({links[i].host.get(), links[i].guest.get(), pattern(3000 + i, ~seed)});
  }
  run(streams);
  for (std::size_t i = 0; i < kCount; ++i) {
    finish(i % 2 == 0 ? links[i].guest : links[i].host);
    EXPECT_EQ(end_of(i % 2 == 0 ? links[i].host.get() : links[i].guest.get()), 0);
    finish(i % 2 == 0 ? links[i].host : links[i].guest);
  }
  for (std::size_t i = 0; i < kCount; ++i) {
    const flow::FlowSummary summary = ended(links[i]);
    EXPECT_EQ(summary.outcome, policy::Outcome::kClosed);
    EXPECT_EQ(summary.bytes_to_host, 1000 + i);
    EXPECT_EQ(summary.bytes_to_guest, 3000 + i);
  }
  EXPECT_EQ(carrier().size(), 0U);
  EXPECT_EQ(all<flow::ReportFlow>().size(), kCount);
}

TEST_F(CarrierTest, OneThatEndsDoesNotDisturbThoseWithMoreToDo) {
  constexpr std::size_t kSize = 8 * 1024 * 1024;
  const Link a = handed_over();
  Link b = handed_over();
  const Link c = handed_over();
  std::vector<Stream> streams;
  streams.push_back({a.guest.get(), a.host.get(), pattern(kSize, 1)});
  streams.push_back({a.host.get(), a.guest.get(), pattern(kSize, 2)});
  streams.push_back({c.host.get(), c.guest.get(), pattern(kSize, 3)});
  ASSERT_TRUE(relay::send_all(b.guest.get(), "last words"));
  for (Stream& one : streams) one.step();
  turn();
  EXPECT_TRUE(carrier().has_ready());
  // In the midst of the others.
  finish(b.guest);
  finish(b.host);
  run(streams);
  EXPECT_EQ(ended(b).outcome, policy::Outcome::kClosed);
  EXPECT_EQ(carrier().size(), 2U);
  EXPECT_FALSE(report_of(a).has_value());
  finish(a.guest);
  finish(a.host);
  EXPECT_EQ(ended(a).bytes_to_host, kSize);
  EXPECT_EQ(ended(a).bytes_to_guest, kSize);
}

TEST_F(CarrierTest, CloseWithoutResetIsAFinToWhoHasAll) {
  const Link a = handed_over();
  const Link b = handed_over();
  finish(a.guest);
  EXPECT_EQ(end_of(a.host.get()), 0);
  EXPECT_TRUE(carrier().close({a.c.id, false}));
  EXPECT_EQ(end_of(a.guest.get()), ECONNRESET);
  EXPECT_EQ(end_of(a.host.get()), 0);
  EXPECT_EQ(carrier().size(), 1U);
  EXPECT_FALSE(carrier().close({a.c.id, false}));
  std::vector<Stream> streams{{b.guest.get(), b.host.get(), pattern(5000)}};
  run(streams);
}

TEST_F(CarrierTest, CloseWithResetIsARstToBoth) {
  const Link a = handed_over();
  EXPECT_TRUE(carrier().close({a.c.id, true}));
  EXPECT_EQ(end_of(a.guest.get()), ECONNRESET);
  EXPECT_EQ(end_of(a.host.get()), ECONNRESET);
  EXPECT_EQ(carrier().size(), 0U);
}

TEST_F(CarrierTest, CloseOfOthersIsNotOurs) {
  const Link a = handed_over();
  EXPECT_FALSE(carrier().close({flow::TcpId{{a.c.id.index + 500, 1}}, true}));
  EXPECT_FALSE(carrier().close({flow::TcpId{{a.c.id.index, a.c.id.generation + 1}}, true}));
  EXPECT_FALSE(carrier().close({flow::TcpId{}, true}));
  EXPECT_EQ(carrier().size(), 1U);
  EXPECT_EQ(carrier().carried_since(flow::TcpId{}), kNever);
  EXPECT_NE(carrier().carried_since(a.c.id), kNever);
}

TEST_F(CarrierTest, ClosedWhileItHasMoreToDo) {
  const Link a = handed_over();
  ASSERT_TRUE(relay::send_all(a.guest.get(), pattern(100'000)));
  carrier().on_event(EventTag{EventKind::kCarriedGuest, 0, 1}, EPOLLIN);
  EXPECT_TRUE(carrier().has_ready());
  EXPECT_TRUE(carrier().close({a.c.id, true}));
  settle_down();
  EXPECT_FALSE(carrier().has_ready());
  EXPECT_EQ(end_of(a.host.get()), ECONNRESET);
}

TEST_F(CarrierTest, EventsOfOneThatIsGoneAreIgnored) {
  const Link a = handed_over();
  settle_down();
  EXPECT_TRUE(carrier().close({a.c.id, false}));
  const Link b = handed_over();  // In the same place.
  settle_down();
  EXPECT_FALSE(carrier().has_ready());
  carrier().on_event(EventTag{EventKind::kCarriedGuest, 0, 1}, EPOLLERR | EPOLLHUP | EPOLLIN);
  carrier().on_event(EventTag{EventKind::kCarriedHost, 7000, 1}, EPOLLERR | EPOLLHUP | EPOLLIN);
  EXPECT_FALSE(carrier().has_ready());
  EXPECT_EQ(carrier().size(), 1U);
}

TEST_F(CarrierTest, IdleConnectionsWakeNobody) {
  std::vector<Link> links;
  for (int i = 0; i < 5; ++i) links.push_back(handed_over());
  std::vector<Stream> streams;
  for (const Link& one : links) {
    streams.push_back({one.guest.get(), one.host.get(), pattern(2'000'000)});
  }
  run(streams);
  settle_down();
  // What was borrowed goes back to the system first.
  for (int i = 0; i < 4 && path->next_wakeup(now) < now + 3s; ++i) pass_time(2s);
  // But for a look at all of them, every 15 s.
  EXPECT_GE(carrier().next_wakeup(now), now + 3s);
  EXPECT_GE(path->next_wakeup(now), now + 3s);
  EXPECT_FALSE(carrier().has_ready());
  const Instant moved = flow(links[2].c)->moved;
  settle_down();
  EXPECT_EQ(flow(links[2].c)->moved, moved);
  ASSERT_TRUE(relay::send_all(links[2].guest.get(), "x"));
  EXPECT_EQ(received(links[2].host.get(), 1), "x");
  EXPECT_GT(flow(links[2].c)->moved, moved);
}

TEST_F(CarrierTest, BytesWaitWhileAHostTakesNothing) {
  const Link a = handed_over();
  const Link b = handed_over();
  const auto waiting = [&] {
    carrier().note_waiting();
    return tcp().undelivered(now).bytes;
  };
  EXPECT_EQ(waiting(), 0U);
  const std::size_t taken = fill(b.guest.get());
  EXPECT_GT(waiting(), 0U);
  EXPECT_LT(waiting(), taken);
  relay::Received got;
  EXPECT_TRUE(turn_until([&] {
    got.read_from(b.host.get());
    return got.bytes.size() >= taken;
  }));
  EXPECT_EQ(waiting(), 0U);
  // What a guest does not take is not the guest's.
  fill(a.host.get());
  EXPECT_EQ(waiting(), 0U);
}

TEST_F(CarrierTest, AHostThatWasPassedTheEndIsNotWaitedFor) {
  const Link a = handed_over();
  const Link b = handed_over();
  finish(a.guest);
  EXPECT_EQ(end_of(a.host.get()), 0);
  carrier().note_waiting();
  EXPECT_EQ(tcp().undelivered(now).flows, 1U);  // The other's guest may say something yet.
  finish(b.guest);
  EXPECT_EQ(end_of(b.host.get()), 0);
  carrier().note_waiting();
  EXPECT_EQ(tcp().undelivered(now).flows, 0U);
}

TEST_F(CarrierTest, AHalfClosedGuestThatAbortsIsAReset) {
  Link a = handed_over();
  finish(a.guest);
  EXPECT_EQ(end_of(a.host.get()), 0);
  settle_down();
  reset(a.guest);
  EXPECT_EQ(ended(a).outcome, policy::Outcome::kResetByGuest);
  EXPECT_TRUE(turn_until([&] { return error_of(a.host.get()) != 0; }));
}

TEST_F(CarrierTest, AGuestThatHasForgottenLeavesTheHostInPeace) {
  Link a = handed_over();
  finish(a.guest);
  EXPECT_EQ(end_of(a.host.get()), 0);
  settle_down();
  // Its kernel forgets within a second or two, and is asked after five.
  const int seconds = 1;
  EXPECT_EQ(::setsockopt(a.guest.get(), IPPROTO_TCP, TCP_LINGER2, &seconds, sizeof seconds), 0);
  a.guest.reset();
  EXPECT_EQ(ended(a).outcome, policy::Outcome::kResetByGuest);
  EXPECT_EQ(carrier().size(), 0U);
  // The host learns of it when it has something to say.
  EXPECT_EQ(error_of(a.host.get()), 0);
  ASSERT_TRUE(relay::send_all(a.host.get(), "anybody there?"));
  EXPECT_TRUE(turn_until([&] { return error_of(a.host.get()) != 0; }));
}

TEST_F(CarrierTest, AGuestThatRefusesBytesIsAReset) {
  Link a = handed_over();
  finish(a.guest);
  EXPECT_EQ(end_of(a.host.get()), 0);
  ASSERT_TRUE(relay::send_all(a.host.get(), "more than it wants"));
  settle_down();
  a.guest.reset();  // Unread: the kernel refuses it with a RST.
  EXPECT_EQ(ended(a).outcome, policy::Outcome::kResetByGuest);
  EXPECT_TRUE(turn_until([&] { return error_of(a.host.get()) != 0; }));
}

TEST_F(CarrierTest, AFinPassesOneWayAndBytesTheOther) {
  const Link a = handed_over();
  finish(a.guest);
  EXPECT_EQ(end_of(a.host.get()), 0);
  EXPECT_EQ(carrier().size(), 1U);
  std::vector<Stream> streams{{a.host.get(), a.guest.get(), pattern(1'000'000)}};
  run(streams);
  finish(a.host);
  EXPECT_EQ(end_of(a.guest.get()), 0);
  EXPECT_EQ(ended(a).outcome, policy::Outcome::kClosed);
  EXPECT_EQ(ended(a).bytes_to_guest, 1'000'000U);
}

TEST_F(CarrierTest, ARstOfTheGuestReachesTheHost) {
  Link a = handed_over();
  relay::reset_connection(a.guest);
  EXPECT_EQ(end_of(a.host.get()), ECONNRESET);
  EXPECT_EQ(ended(a).outcome, policy::Outcome::kResetByGuest);
  EXPECT_EQ(carrier().size(), 0U);
}

TEST_F(CarrierTest, ARstOfTheHostReachesTheGuest) {
  Link a = handed_over();
  ASSERT_TRUE(relay::send_all(a.host.get(), "so far"));
  EXPECT_EQ(received(a.guest.get(), 6), "so far");
  relay::reset_connection(a.host);
  EXPECT_EQ(end_of(a.guest.get()), ECONNRESET);
  EXPECT_EQ(ended(a).outcome, policy::Outcome::kResetByHost);
  EXPECT_EQ(ended(a).bytes_to_guest, 6U);
}

// The guest's packets must find the socket until it has acknowledged all.
TEST_F(CarrierTest, TheFlowLastsUntilTheGuestHasEverything) {
  const Link a = handed_over({.near_send = 0, .far_receive = 16 * 1024});
  const std::string bytes = pattern(300'000);
  ASSERT_TRUE(relay::send_all(a.host.get(), bytes));
  finish(a.guest);
  finish(a.host);
  EXPECT_EQ(end_of(a.host.get()), 0);
  settle_down();
  EXPECT_FALSE(report_of(a).has_value());
  EXPECT_EQ(carrier().size(), 1U);
  relay::Received got;
  EXPECT_TRUE(turn_until([&] {
    got.read_from(a.guest.get());
    return got.end.has_value();
  }));
  EXPECT_TRUE(got.bytes == bytes);
  pass_time(1s);
  EXPECT_EQ(ended(a).outcome, policy::Outcome::kClosed);
  EXPECT_EQ(carrier().size(), 0U);
}

TEST_F(CarrierTest, AGuestThatResetsBeforeItHasEverythingIsNotWaitedFor) {
  Link a = handed_over({.near_send = 0, .far_receive = 16 * 1024});
  ASSERT_TRUE(relay::send_all(a.host.get(), pattern(300'000)));
  finish(a.guest);
  finish(a.host);
  EXPECT_EQ(end_of(a.host.get()), 0);
  settle_down();
  EXPECT_FALSE(report_of(a).has_value());
  a.guest.reset();  // With bytes unread: a RST.
  for (int i = 0; i < 5 && carrier().size() > 0; ++i) pass_time(1s);
  EXPECT_EQ(carrier().size(), 0U);
  EXPECT_EQ(ended(a).outcome, policy::Outcome::kResetByGuest);
}

TEST_F(CarrierTest, EverythingEndsWithTheEngine) {
  const Link a = handed_over();
  const Link b = handed_over();
  engine().shut_down({now, sink});
  settle();
  EXPECT_EQ(carrier().size(), 0U);
  EXPECT_EQ(all<flow::ReportFlow>().size(), 2U);
  EXPECT_EQ(take_orders<agent::ReleaseOrder>().size(), 2U);
  EXPECT_NE(end_of(a.guest.get()), -1);
  EXPECT_NE(end_of(b.host.get()), -1);
}

TEST_F(CarrierTest, WhatIsCarriedMayOutliveNobody) {
  Link a = handed_over();
  ASSERT_TRUE(relay::send_all(a.guest.get(), "never read"));
  path.reset();
  // No descriptor is left behind, and half a stream is no whole one.
  EXPECT_EQ(end_of(a.guest.get()), ECONNRESET);
  EXPECT_EQ(end_of(a.host.get()), ECONNRESET);
  start({.when = flow::HandOverWhen::kAlways, .descriptor_limit = 100'000});
}

TEST_F(CarrierTest, ALimitHoldsForWhatTheGuestsKernelCarries) {
  const auto limited = policy::EgressPolicy::compile({.limit = {.to_host = {.bytes = 700'000}}});
  engine().set_policy(*limited, {now, sink});
  Link link = handed_over();
  const policy::MeterUse& use = engine().meters().of_run()->use();
  std::size_t sent = 0;
  relay::Received got;
  const std::string text = pattern(1024 * 1024);
  EXPECT_TRUE(turn_until([&] {
    if (sent < text.size()) {
      const ssize_t now_sent = ::send(link.guest.get(), text.data() + sent, text.size() - sent,
                                      MSG_NOSIGNAL | MSG_DONTWAIT);
      if (now_sent > 0) sent += static_cast<std::size_t>(now_sent);
    }
    got.read_from(link.host.get());
    return got.end.has_value();
  }));
  EXPECT_EQ(got.end, ECONNRESET);
  EXPECT_TRUE(got.bytes == text.substr(0, got.bytes.size()));
  EXPECT_EQ(use.to_host.used, 700'000U);
  const flow::FlowSummary summary = ended(link);
  EXPECT_EQ(summary.verdict, policy::Verdict::kQuota);
  EXPECT_EQ(summary.bytes_to_host, 700'000U);
  EXPECT_EQ(carrier().size(), 0U);
  engine().set_policy(*policy::EgressPolicy::compile({}), {now, sink});
}

TEST_F(CarrierTest, AChangedLimitHoldsForThoseThatAreCarried) {
  const auto narrow = policy::EgressPolicy::compile({.limit = {.to_host = {.rate = 1000}}});
  const auto open = policy::EgressPolicy::compile({});
  engine().set_policy(*narrow, {now, sink});
  Link link = handed_over();
  const std::string text = pattern(200'000);
  ASSERT_EQ(::send(link.guest.get(), text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()));
  relay::Received got;
  for (int i = 0; i < 10; ++i) turn();
  got.read_from(link.host.get());
  EXPECT_LE(got.bytes.size(), 6000U);
  engine().set_policy(*open, {now, sink});
  carrier().follow_limits();
  EXPECT_TRUE(turn_until([&] {
    got.read_from(link.host.get());
    return got.bytes.size() == text.size();
  }));
  EXPECT_TRUE(got.bytes == text);
}

}  // namespace
}  // namespace sluice::driver
