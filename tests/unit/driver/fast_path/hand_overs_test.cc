// Hand-overs with every answer that the agent may give, and with none.
#include "driver/fast_path/hand_overs.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <filesystem>

#include "telemetry/log.h"
#include "unit/driver/fast_path/hand_overs_fixture.h"
#include "unit/telemetry/lines.h"

namespace sluice::driver {
namespace {

using agent::ReleaseOrder;
using agent::RepairOrder;
using flow::DropReason;
using flow::HandOverStage;

constexpr std::string_view kHandedOver = "handed over to the guest's kernel";
constexpr std::string_view kFailed = "hand-overs that failed";
constexpr std::string_view kInjected = "packets put back on the fast path";
constexpr std::string_view kRepairs = "repairs of the fast path";

// While it lives, a descriptor that is opened or received must be below `most`.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t most) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit limit{.rlim_cur = most, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

// How many of our descriptors are of the same socket.
std::size_t descriptors_like(int fd) {
  namespace fs = std::filesystem;
  const fs::path own = "/proc/self/fd";
  const fs::path wanted = fs::read_symlink(own / std::to_string(fd));
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(own)) {
    std::error_code gone;  // The iterator's own.
    if (fs::read_symlink(entry.path(), gone) == wanted) ++count;
  }
  return count;
}

class FastPathTest : public FastPathFixture {
 protected:
  // The guest's stream, as the tests of the engine send it.
  static std::string stream(std::uint64_t offset, std::size_t length) {
    const Bytes bytes = flow::test::stream(offset, length);
    return {bytes.begin(), bytes.end()};
  }
  // Both ways, whoever carries it.
  void expect_carried(const Link& link) {
    ASSERT_TRUE(relay::send_all(link.guest.get(), "question"));
    EXPECT_EQ(received(link.host.get(), 8), "question");
    ASSERT_TRUE(relay::send_all(link.host.get(), "answer"));
    EXPECT_EQ(received(link.guest.get(), 6), "answer");
  }
  void expect_on_the_tap(Link& link) {
    const std::uint64_t before = link.c.sent;
    send_bytes(link, 700);
    EXPECT_EQ(received(link.host.get(), 700), stream(before, 700));
  }
  // The agent is asked for each, and has not answered.
  std::vector<agent::HandOverOrder> open_asked(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) links.push_back(open());
    return take_orders<agent::HandOverOrder>();
  }
  void lose_agent() {
    agent.reset();
    turn();
  }

  std::vector<Link> links;
};

// How it begins.

TEST_F(FastPathTest, NobodyIsAskedBeforeTheAgentIsReady) {
  Link link = open();
  send_bytes(link, 1000);
  EXPECT_EQ(received(link.host.get(), 1000), stream(0, 1000));
  settle_down();
  EXPECT_EQ(asked(), 0U);
  EXPECT_EQ(path->next_wakeup(now), kNever);

  ready();
  burst(ack(link.c));
  const agent::HandOverOrder order = take_order();
  EXPECT_EQ(order.deadline, now + 500ms);
  EXPECT_EQ(order.snapshot.local, link.c.remote);
  EXPECT_EQ(order.snapshot.peer, link.c.guest);
  EXPECT_EQ(order.snapshot.send_next, link.c.host_next);
  EXPECT_EQ(order.snapshot.receive_next, link.c.next);
  EXPECT_EQ(stage(link), HandOverStage::kAsked);
}

TEST_F(FastPathTest, AMissingPieceMeansTheTap) {
  ASSERT_TRUE(agent::send_missing(agent.get(), {"nftables", ENOENT, ""}));
  turn();
  Link link = open();
  expect_on_the_tap(link);
  EXPECT_EQ(asked(), 0U);
  lose_agent();  // As it ends then.
  expect_on_the_tap(link);
  EXPECT_EQ(counter(kFailed), 0U);
}

TEST_F(FastPathTest, OfSeveralWorkersOneSaysThatTheAgentIsGone) {
  for (const bool tells : {true, false}) {
    start({.when = flow::HandOverWhen::kAlways, .descriptor_limit = 100'000, .tells = tells});
    ready();
    telemetry::set_log_level(telemetry::LogLevel::kInfo);
    telemetry::test::ToldMessages told;
    lose_agent();
    telemetry::set_log_level(telemetry::LogLevel::kWarn);
    EXPECT_EQ(told.text().find("is gone") != std::string::npos, tells) << told.text();
  }
}

TEST_F(FastPathTest, AwaitHurriesTheAgent) {
  const relay::Connection inject = relay::tcp_connection();
  ASSERT_TRUE(agent::send_ready(agent.get(), inject.near.get(), -1));
  EXPECT_TRUE(path->await());
  EXPECT_EQ(take_orders<agent::HurryOrder>().size(), 1U);
  const Link link = open();
  EXPECT_EQ(asked(), 1U);
}

TEST_F(FastPathTest, AwaitTellsWhatIsMissing) {
  ASSERT_TRUE(agent::send_missing(agent.get(), {"nftables", EPERM, "load nf_tables"}));
  const auto result = path->await();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().step, "nftables");
  EXPECT_EQ(result.error().error, EPERM);
  EXPECT_EQ(result.error().hint, "load nf_tables");
}

TEST_F(FastPathTest, AwaitOfAnAgentThatIsGoneFails) {
  agent.reset();
  EXPECT_FALSE(path->await());
  Link link = open();
  expect_on_the_tap(link);
}

TEST_F(FastPathTest, WithoutAnAgentEverythingGoesByTheTap) {
  start({.when = flow::HandOverWhen::kAlways, .descriptor_limit = 100'000}, {});
  EXPECT_FALSE(path->await());
  Link link = open();
  expect_on_the_tap(link);
  path->release({link.c.guest, link.c.remote});
  EXPECT_EQ(path->next_wakeup(now), kNever);
}

TEST_F(FastPathTest, NeverStaysNever) {
  start({.when = flow::HandOverWhen::kNever, .descriptor_limit = 100'000});
  ready();
  Link link = open();
  expect_on_the_tap(link);
  EXPECT_EQ(asked(), 0U);
}

// Success.

TEST_F(FastPathTest, AfterwardsTheCarrierHasBothSockets) {
  Link link = open();
  send_bytes(link, 1000);
  EXPECT_EQ(received(link.host.get(), 1000), stream(0, 1000));
  ready();
  burst(ack(link.c));
  clear();
  hand_over(link, take_order());
  EXPECT_FALSE(io->take(link.c.id).valid());
  EXPECT_EQ(carrier().size(), 1U);
  EXPECT_EQ(counter(kHandedOver), 1U);
  ASSERT_EQ(frames.size(), 1U);  // The guest is told the window.
  EXPECT_EQ(frames[0].tcp().flags(), wire::kAck);

  expect_carried(link);
  ASSERT_EQ(::shutdown(link.guest.get(), SHUT_WR), 0);
  EXPECT_EQ(end_of(link.host.get()), 0);
  ASSERT_EQ(::shutdown(link.host.get(), SHUT_WR), 0);
  EXPECT_EQ(end_of(link.guest.get()), 0);
  const flow::FlowSummary summary = ended(link);
  EXPECT_EQ(summary.outcome, policy::Outcome::kClosed);
  EXPECT_EQ(summary.bytes_to_host, 1008U);
  EXPECT_EQ(summary.bytes_to_guest, 6U);
  EXPECT_EQ(carrier().size(), 0U);

  // Late packets of it may come for a while.
  EXPECT_TRUE(take_orders<ReleaseOrder>().empty());
  pass_time(3s);
  const auto released = take_orders<ReleaseOrder>();
  ASSERT_EQ(released.size(), 1U);
  EXPECT_EQ(released[0].guest, link.c.guest);
  EXPECT_EQ(released[0].remote, link.c.remote);
  EXPECT_EQ(engine().flow_count(), 0U);
}

TEST_F(FastPathTest, WhatTheHostSaidMeanwhileIsCarried) {
  ready();
  Link link = open();
  const agent::HandOverOrder order = take_order();
  ASSERT_TRUE(relay::send_all(link.host.get(), "early"));
  ASSERT_EQ(::shutdown(link.host.get(), SHUT_WR), 0);
  settle_down();
  EXPECT_TRUE(frames.empty());
  hand_over(link, order);
  EXPECT_EQ(received(link.guest.get(), 5), "early");
  EXPECT_EQ(end_of(link.guest.get()), 0);
}

TEST_F(FastPathTest, PacketsThatCameMeanwhileFollowInOrder) {
  ready();
  Link link = open();
  const agent::HandOverOrder order = take_order();
  std::vector<Bytes> sent;
  for (std::size_t length : {700U, 1U, 333U}) {
    const auto segment = data(link.c, link.c.sent, length);
    link.c.next += static_cast<std::uint32_t>(length);
    link.c.sent += length;
    const Bytes frame = flow::test::tcp_frame(network(), segment);
    sent.emplace_back(frame.begin() + 14, frame.end());
    // As a guest sends it that leaves the checksum to the tap.
    Bytes partial = frame;
    partial[14 + 20 + 16] ^= 0x5a;
    burst(partial,
          {.flags = wire::VirtioNetHeader::kNeedsCsum, .csum_start = 34, .csum_offset = 16});
  }
  settle_down();
  EXPECT_TRUE(injected(inject_v4).empty());
  hand_over(link, order);
  // Whole, and with their right checksum.
  EXPECT_EQ(injected(inject_v4), sent);
  EXPECT_EQ(counter(kInjected), 3U);

  const Bytes late = flow::test::tcp_frame(network(), ack(link.c));
  burst(late);
  EXPECT_EQ(injected(inject_v4), (std::vector<Bytes>{{late.begin() + 14, late.end()}}));
  EXPECT_TRUE(injected(inject_v6).empty());
  EXPECT_EQ(drops(DropReason::kTcpBufferFull), 0U);
}

TEST_F(FastPathTest, PacketsOfIpv6HaveASocketOfTheirOwn) {
  ready();
  Link link = open(wire::IpFamily::kV6);
  const agent::HandOverOrder order = take_order();
  EXPECT_EQ(order.snapshot.peer, link.c.guest);
  Bytes frame = flow::test::tcp_frame(network(), data(link.c, 0, 501));
  const Bytes whole(frame.begin() + 14, frame.end());
  frame[14 + 40 + 16] ^= 0x5a;
  burst(frame, {.flags = wire::VirtioNetHeader::kNeedsCsum, .csum_start = 54, .csum_offset = 16});
  hand_over(link, order);
  EXPECT_EQ(injected(inject_v6), std::vector<Bytes>{whole});
  EXPECT_TRUE(injected(inject_v4).empty());
}

TEST_F(FastPathTest, WhatFindsNoRoomIsCounted) {
  ready();
  Link link = open();
  hand_over(link, take_order());
  std::size_t fed = 0;
  for (; fed < 2000 && drops(DropReason::kTcpBufferFull) == 0; ++fed) {
    burst(data(link.c, 0, 1400));
  }
  EXPECT_EQ(drops(DropReason::kTcpBufferFull), 1U);
  EXPECT_EQ(counter(kInjected), fed - 1);
}

TEST_F(FastPathTest, PacketsThatGoAstrayAskForRepairOnceASecond) {
  ready();
  Link link = open();
  hand_over(link, take_order());
  burst(ack(link.c));  // Was under way.
  EXPECT_TRUE(take_orders<RepairOrder>().empty());
  pass_time(60ms);
  for (int i = 0; i < 5; ++i) burst(ack(link.c));
  EXPECT_EQ(take_orders<RepairOrder>().size(), 1U);
  pass_time(900ms);
  burst(ack(link.c));
  EXPECT_TRUE(take_orders<RepairOrder>().empty());
  ASSERT_TRUE(agent::send_repaired(agent.get(), EPERM));
  pass_time(100ms);
  burst(ack(link.c));
  EXPECT_EQ(take_orders<RepairOrder>().size(), 1U);
  EXPECT_EQ(counter(kRepairs), 2U);
  EXPECT_EQ(injected(inject_v4).size(), 8U);
}

TEST_F(FastPathTest, APortThatIsUsedAgainEndsTheOldConnection) {
  ready();
  Link link = open();
  hand_over(link, take_order());
  burst(syn({.guest = link.c.guest, .remote = link.c.remote, .guest_isn = wire::SeqNum{777'777}}));
  EXPECT_EQ(carrier().size(), 0U);
  EXPECT_NE(end_of(link.guest.get()), -1);
  EXPECT_NE(end_of(link.host.get()), -1);
  EXPECT_EQ(take_orders<ReleaseOrder>().size(), 1U);
  EXPECT_EQ(engine().flow_count(), 1U);
  EXPECT_TRUE(injected(inject_v4).empty());
}

// Refused.

TEST_F(FastPathTest, AfterARefusalThePacketsReachTheHostOnce) {
  ready();
  Link link = open();
  const agent::HandOverOrder order = take_order();
  send_bytes(link, 700);
  send_bytes(link, 500);
  burst(data(link.c, 0, 700));  // Again.
  send_bytes(link, 300);
  burst(fin(link.c));
  settle_down();
  EXPECT_TRUE(frames.empty());
  refuse(order, ETIMEDOUT);
  relay::Received got;
  EXPECT_TRUE(turn_until([&] {
    got.read_from(link.host.get());
    return got.end.has_value();
  }));
  EXPECT_EQ(got.bytes, stream(0, 1500));
  EXPECT_EQ(got.end, 0);
  ASSERT_FALSE(frames.empty());
  EXPECT_EQ(frames.back().tcp().acknowledgment(), link.c.next + 1);
  EXPECT_EQ(carrier().size(), 0U);
  EXPECT_EQ(counter(kFailed), 1U);
  EXPECT_EQ(counter(kHandedOver), 0U);
  EXPECT_TRUE(injected(inject_v4).empty());
  EXPECT_TRUE(take_orders<ReleaseOrder>().empty());
}

TEST_F(FastPathTest, SeveralThatAreRefusedAtOnceKeepTheirPacketsApart) {
  ready();
  const auto orders = open_asked(4);
  ASSERT_EQ(orders.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t j = 0; j <= i; ++j) send_bytes(links[i], 100 + i);
  }
  for (const auto& one : orders) {
    ASSERT_TRUE(agent::send_refused(agent.get(), one.tag, ECANCELED));
  }
  turn();
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t size = (i + 1) * (100 + i);
    EXPECT_EQ(received(links[i].host.get(), size), stream(0, size));
  }
}

TEST_F(FastPathTest, OnlyARefusalWithoutReasonOfTheAgentsOwnAsksForRepair) {
  ready();
  const auto orders = open_asked(4);
  ASSERT_EQ(orders.size(), 4U);
  refuse(orders[0], ECANCELED);
  EXPECT_TRUE(take_orders<RepairOrder>().empty());
  refuse(orders[1], ETIMEDOUT);
  EXPECT_EQ(take_orders<RepairOrder>().size(), 1U);
  refuse(orders[2], ENOENT);
  EXPECT_TRUE(take_orders<RepairOrder>().empty());
  now += 1s;  // Not so long that the agent counts as silent.
  refuse(orders[3], ENOENT);
  EXPECT_EQ(take_orders<RepairOrder>().size(), 1U);
  EXPECT_EQ(counter(kRepairs), 2U);
}

TEST_F(FastPathTest, EightRefusalsInARowMakeAPause) {
  ready();
  const auto orders = open_asked(8);
  ASSERT_EQ(orders.size(), 8U);
  for (const auto& one : orders) refuse(one, ETIMEDOUT);
  const Instant refused_at = now;
  Link link = open();
  EXPECT_EQ(asked(), 0U);
  EXPECT_LE(path->next_wakeup(now), refused_at + 1s);
  expect_on_the_tap(link);
  pass_time(1s);
  burst(ack(link.c));
  EXPECT_EQ(asked(), 1U);
}

TEST_F(FastPathTest, ASuccessBetweenRefusalsCounts) {
  ready();
  auto orders = open_asked(7);
  for (const auto& one : orders) refuse(one, ECANCELED);
  Link good = open();
  hand_over(good, take_order());
  orders = open_asked(7);
  ASSERT_EQ(orders.size(), 7U);
  for (const auto& one : orders) refuse(one, ECANCELED);
  EXPECT_EQ(open_asked(1).size(), 1U);
}

// Closed while it is asked for.

TEST_F(FastPathTest, ASocketThatComesTooLateIsReset) {
  ready();
  Link link = open();
  const agent::HandOverOrder order = take_order();
  send_bytes(link, 100);
  lose_socket(link);
  EXPECT_EQ(ended(link).outcome, policy::Outcome::kResetByHost);
  EXPECT_TRUE(take_orders<ReleaseOrder>().empty());
  hand_over(link, order);
  EXPECT_EQ(end_of(link.guest.get()), ECONNRESET);
  EXPECT_EQ(carrier().size(), 0U);
  EXPECT_EQ(counter(kHandedOver), 0U);
  EXPECT_TRUE(injected(inject_v4).empty());
  const auto released = take_orders<ReleaseOrder>();
  ASSERT_EQ(released.size(), 1U);
  EXPECT_EQ(released[0].guest, link.c.guest);
  EXPECT_EQ(released[0].remote, link.c.remote);
}

TEST_F(FastPathTest, TheNextFlowInThePlaceOfAClosedOneIsItsOwn) {
  ready();
  Link old = open();
  const agent::HandOverOrder old_order = take_order();
  lose_socket(old);
  (void)ended(old);
  Link fresh = open();
  EXPECT_EQ(fresh.c.id.index, old.c.id.index);
  const agent::HandOverOrder order = take_order();
  send_bytes(fresh, 50);
  hand_over(old, old_order);  // Late.
  EXPECT_EQ(end_of(old.guest.get()), ECONNRESET);
  EXPECT_EQ(stage(fresh), HandOverStage::kAsked);
  EXPECT_TRUE(injected(inject_v4).empty());
  hand_over(fresh, order);
  EXPECT_EQ(injected(inject_v4).size(), 1U);
  expect_carried(fresh);
}

// Neither way loses the bytes that stand before it.
TEST_F(FastPathTest, AResetOfTheHostWaitsForTheAnswer) {
  ready();
  Link link = open();
  const agent::HandOverOrder order = take_order();
  ASSERT_EQ(::send(link.host.get(), "answer", 6, MSG_NOSIGNAL), 6);
  relay::reset_connection(link.host);
  turn();
  EXPECT_FALSE(report_of(link).has_value());
  hand_over(link, order);
  EXPECT_EQ(received(link.guest.get(), 6), "answer");
  EXPECT_EQ(end_of(link.guest.get()), ECONNRESET);
  EXPECT_EQ(ended(link).outcome, policy::Outcome::kResetByHost);

  Link other = open();
  const agent::HandOverOrder second = take_order();
  ASSERT_EQ(::send(other.host.get(), "answer", 6, MSG_NOSIGNAL), 6);
  relay::reset_connection(other.host);
  turn();
  clear();
  refuse(second, EINVAL);
  ASSERT_FALSE(frames.empty());
  EXPECT_EQ(frames.back().tcp().payload().size(), 6U);
}

TEST_F(FastPathTest, AResetOfTheGuestDoesNotOvertakeWhatWaits) {
  ready();
  Link link = open();
  const agent::HandOverOrder order = take_order();
  send_bytes(link, 300);
  burst(rst(link.c));
  hand_over(link, order);
  // The data. As long as the socket does not have it, the RST stays here.
  EXPECT_EQ(injected(inject_v4).size(), 1U);
  settle_down();
  EXPECT_TRUE(injected(inject_v4).empty());
  ASSERT_EQ(::send(link.guest.get(), std::string(300, 'd').data(), 300, MSG_NOSIGNAL), 300);
  EXPECT_TRUE(turn_until([&] { return injected(inject_v4).size() == 1; }));
  EXPECT_EQ(received(link.host.get(), 300).size(), 300U);
}

TEST_F(FastPathTest, AResetOfTheGuestWaitsForWhatComesByTheNewWay) {
  ready();
  Link link = handed_over();
  link.c.next += 300;
  burst(rst(link.c));
  EXPECT_TRUE(injected(inject_v4).empty());
  ASSERT_EQ(::send(link.guest.get(), std::string(300, 'd').data(), 300, MSG_NOSIGNAL), 300);
  EXPECT_TRUE(turn_until([&] { return injected(inject_v4).size() == 1; }));
  burst(rst(link.c));
  EXPECT_EQ(injected(inject_v4).size(), 1U);
  // What the guest's kernel threw away never comes.
  link.c.next += 1;
  burst(rst(link.c));
  settle_down();
  EXPECT_TRUE(injected(inject_v4).empty());
  pass_time(250ms);
  EXPECT_EQ(injected(inject_v4).size(), 1U);
  // Nothing of this is a sign of trouble.
  pass_time(1s);
  burst(rst(link.c));
  EXPECT_TRUE(take_orders<RepairOrder>().empty());
}

// The probe had no answer because the guest reset the connection meanwhile.
TEST_F(FastPathTest, ARefusalOfWhatTheGuestResetIsNoFailure) {
  ready();
  for (int i = 0; i < 9; ++i) {
    Link link = open();
    const agent::HandOverOrder order = take_order();
    send_bytes(link, 300);
    burst(rst(link.c));
    refuse(order, ETIMEDOUT);
    EXPECT_EQ(received(link.host.get(), 300).size(), 300U);
    EXPECT_EQ(end_of(link.host.get()), ECONNRESET);
  }
  EXPECT_TRUE(take_orders<RepairOrder>().empty());
}

TEST_F(FastPathTest, ARefusalThatComesTooLateMeansNothing) {
  ready();
  Link link = open();
  const agent::HandOverOrder order = take_order();
  lose_socket(link);
  (void)ended(link);
  clear();
  refuse(order, ETIMEDOUT);
  EXPECT_TRUE(frames.empty());
  EXPECT_TRUE(take_orders<RepairOrder>().empty());
  EXPECT_TRUE(take_orders<ReleaseOrder>().empty());
  EXPECT_EQ(counter(kFailed), 0U);
}

TEST_F(FastPathTest, AnAnswerToNothingIsIgnored) {
  ready();
  Link link = open();
  const agent::HandOverOrder order = take_order();
  refuse({.tag = order.tag + (1ULL << 32), .deadline = {}, .snapshot = {}}, ETIMEDOUT);
  refuse({.tag = 0xffff'ffff, .deadline = {}, .snapshot = {}}, ETIMEDOUT);
  EXPECT_EQ(stage(link), HandOverStage::kAsked);
  Link stray;
  hand_over(stray, {.tag = 12'345, .deadline = {}, .snapshot = {}});
  EXPECT_EQ(end_of(stray.guest.get()), 0);  // Closed.
  EXPECT_EQ(carrier().size(), 0U);
  hand_over(link, order);
  expect_carried(link);
}

TEST_F(FastPathTest, NewFlowsDoNotTakeItsDescriptor) {
  ready();
  Link link = open();
  const agent::HandOverOrder order = take_order();
  relay::Connection made = relay::tcp_connection();
  link.guest = std::move(made.far);
  ASSERT_TRUE(agent::send_handed_over(agent.get(), order.tag, made.near.get()));
  made.near.reset();
  {
    const DescriptorLimit few(256);
    std::vector<UniqueFd> others;
    while (others.empty() || others.back().valid()) others.emplace_back(::dup(agent.get()));
    turn();
    EXPECT_EQ(carrier().size(), 1U);
  }
  expect_carried(link);
}

TEST_F(FastPathTest, WithoutADescriptorForItBothSidesAreReset) {
  ready();
  Link link = open();
  const agent::HandOverOrder order = take_order();
  send_bytes(link, 100);
  relay::Connection made = relay::tcp_connection();
  ASSERT_TRUE(agent::send_handed_over(agent.get(), order.tag, made.near.get()));
  made.near.reset();
  {
    const DescriptorLimit none(0);
    turn();
  }
  EXPECT_NE(end_of(made.far.get()), -1);  // The kernel has closed it.
  ASSERT_FALSE(frames.empty());
  EXPECT_TRUE(frames.back().tcp().flags().rst());
  EXPECT_EQ(end_of(link.host.get()), ECONNRESET);
  EXPECT_EQ(carrier().size(), 0U);
  EXPECT_EQ(take_orders<ReleaseOrder>().size(), 1U);
  EXPECT_EQ(all<flow::ReportFlow>().size(), 1U);
  EXPECT_EQ(counter(kHandedOver), 0U);
}

// The agent is gone, or as good as gone.

// Their sockets may have been let go already: what they would acknowledge nobody would deliver.
TEST_F(FastPathTest, WhatTheAgentHadInHandIsReset) {
  ready();
  Link carried = open();
  hand_over(carried, take_order());
  Link a = open();
  Link b = open();
  send_bytes(a, 900);
  send_bytes(b, 400);
  send_bytes(b, 400);
  lose_agent();
  EXPECT_EQ(end_of(a.host.get()), ECONNRESET);
  EXPECT_EQ(end_of(b.host.get()), ECONNRESET);
  ASSERT_FALSE(frames.empty());
  EXPECT_TRUE(frames.back().tcp().flags().rst());
  EXPECT_EQ(all<flow::ReportFlow>().size(), 2U);
  EXPECT_EQ(counter(kFailed), 2U);
  // Nobody is asked any more, now or later; what was handed over goes on.
  Link c = open();
  expect_on_the_tap(c);
  EXPECT_EQ(stage(c), HandOverStage::kNone);
  pass_time(5s);
  expect_on_the_tap(c);
  EXPECT_EQ(stage(c), HandOverStage::kNone);
  EXPECT_EQ(counter(kFailed), 2U);
  expect_carried(carried);
  burst(ack(carried.c));
  EXPECT_EQ(injected(inject_v4).size(), 1U);
  EXPECT_EQ(counter(kRepairs), 0U);
}

TEST_F(FastPathTest, AClosedOneNeedsNoAgent) {
  ready();
  Link link = open();
  lose_socket(link);
  (void)ended(link);
  clear();
  lose_agent();
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(counter(kFailed), 0U);
}

TEST_F(FastPathTest, AgentsThatPauseAndGoDoNotComeBack) {
  ready();
  for (const auto& one : open_asked(8)) refuse(one, ETIMEDOUT);
  lose_agent();
  EXPECT_EQ(path->next_wakeup(now), kNever);
  pass_time(2s);
  Link link = open();
  expect_on_the_tap(link);
  EXPECT_EQ(counter(kFailed), 8U);
}

TEST_F(FastPathTest, NamesToReleaseDoNotPileUpWithoutAnAgent) {
  ready();
  lose_agent();
  const std::size_t before = ::mallinfo2().uordblks + ::mallinfo2().hblkhd;
  for (std::uint16_t port = 1; port < 60'000; ++port) {
    path->release({{network().guest_v4, wire::Port{port}}, flow::test::kServer});
  }
  EXPECT_LT(::mallinfo2().uordblks + ::mallinfo2().hblkhd, before + 100'000);
}

TEST_F(FastPathTest, ASilentAgentCountsAsGone) {
  ready();
  Link carried = open();
  hand_over(carried, take_order());
  pass_time(3s);
  const Instant asked_at = now;
  Link link = open();
  EXPECT_EQ(asked(), 1U);
  send_bytes(link, 600);
  EXPECT_LE(path->next_wakeup(now), now + 1500ms);
  now = asked_at + 1400ms;
  turn();
  EXPECT_EQ(stage(link), HandOverStage::kAsked);
  pass_time(150ms);
  EXPECT_EQ(end_of(link.host.get()), ECONNRESET);
  EXPECT_TRUE(told_that_we_are_gone());
  expect_carried(carried);
  Link later = open();
  expect_on_the_tap(later);
  EXPECT_EQ(counter(kFailed), 1U);
}

TEST_F(FastPathTest, ASilentAgentKeepsNoDescriptors) {
  ready();
  const std::size_t before = descriptors_like(inject_v4.near.get());
  ASSERT_EQ(open_asked(3).size(), 3U);
  EXPECT_EQ(descriptors_like(inject_v4.near.get()), before + 3);
  pass_time(10s);
  EXPECT_EQ(descriptors_like(inject_v4.near.get()), before);
}

TEST_F(FastPathTest, ALateAnswerIsAnAnswer) {
  ready();
  Link link = open();
  const agent::HandOverOrder order = take_order();
  now += 1200ms;  // Past the agent's deadline, within our patience.
  hand_over(link, order);
  expect_carried(link);
  // The next one has its own patience.
  Link next = open();
  const Instant asked_at = now;
  const agent::HandOverOrder next_order = take_order();
  now = asked_at + 1300ms;
  turn();
  EXPECT_EQ(stage(next), HandOverStage::kAsked);
  hand_over(next, next_order);
  expect_carried(next);
  pass_time(10s);
  EXPECT_FALSE(told_that_we_are_gone());
}

// Limits.

TEST_F(FastPathTest, DescriptorsAreKeptForOthers) {
  start({.when = flow::HandOverWhen::kAlways, .descriptor_limit = 88});
  ready();
  Link link = open();
  EXPECT_EQ(asked(), 0U);
  EXPECT_EQ(counter(kFailed), 1U);
  expect_on_the_tap(link);

  start({.when = flow::HandOverWhen::kAlways, .descriptor_limit = 92});
  ready();
  Link first = open();
  hand_over(first, take_order());
  Link second = open();
  EXPECT_EQ(asked(), 1U);
  Link third = open();
  EXPECT_EQ(asked(), 0U);
  expect_on_the_tap(third);
}

// What is open once is not counted once for each of them.
TEST_F(FastPathTest, ManyWorkersShareFewDescriptors) {
  start({.when = flow::HandOverWhen::kAlways, .descriptor_limit = 1024, .workers = 16});
  ready();
  Link first = open();
  hand_over(first, take_order());
  expect_carried(first);
}

TEST_F(FastPathTest, AnAgentThatHasItsHandsFullIsNotAsked) {
  ready();
  Link link = open();
  hand_over(link, take_order());
  // Nobody reads them.
  std::uint16_t port = 1;
  for (; port < 5000; ++port) {
    path->release({{network().guest_v4, wire::Port{port}}, link.c.remote});
  }
  Link late = open();
  EXPECT_EQ(stage(late), HandOverStage::kNone);
  EXPECT_EQ(counter(kFailed), 1U);
  expect_on_the_tap(late);
  // None is forgotten, and they keep their order.
  std::vector<ReleaseOrder> released;
  for (int i = 0; i < 1000 && released.size() < 4999; ++i) {
    const auto some = take_orders<ReleaseOrder>();
    released.insert(released.end(), some.begin(), some.end());
    ASSERT_TRUE(agent::send_repaired(agent.get(), 0));
    turn();
  }
  ASSERT_EQ(released.size(), 4999U);
  for (std::size_t i = 0; i < 4999; ++i) ASSERT_EQ(released[i].guest.port.value, i + 1);
}

TEST_F(FastPathTest, NoMoreThanSoManyPacketsWait) {
  ready();
  Link link = open();
  const agent::HandOverOrder order = take_order();
  for (int i = 0; i < 512; ++i) send_bytes(link, 10);
  EXPECT_EQ(drops(DropReason::kTcpBufferFull), 0U);
  for (int i = 0; i < 3; ++i) send_bytes(link, 10);
  EXPECT_EQ(drops(DropReason::kTcpBufferFull), 3U);
  refuse(order, ETIMEDOUT);
  EXPECT_EQ(received(link.host.get(), 5120), stream(0, 5120));
  settle_down();
  ASSERT_FALSE(frames.empty());
  EXPECT_EQ(frames.back().tcp().acknowledgment(), link.c.next - 30);
}

TEST_F(FastPathTest, NoMoreThanSoManyBytesWaitForAllTogether) {
  ready();
  Link a = open();
  Link b = open();
  EXPECT_EQ(asked(), 2U);
  constexpr std::size_t kSize = 60'000;
  constexpr std::size_t kFit = 16 * 1024 * 1024 / (kSize + 40);
  for (std::size_t i = 0; i < kFit / 2; ++i) send_bytes(a, kSize);
  for (std::size_t i = kFit / 2; i < kFit; ++i) send_bytes(b, kSize);
  EXPECT_EQ(drops(DropReason::kTcpBufferFull), 0U);
  send_bytes(b, kSize);
  send_bytes(a, kSize);
  EXPECT_EQ(drops(DropReason::kTcpBufferFull), 2U);
  // What a connection held is free again when it is closed.
  lose_socket(a);
  (void)ended(a);
  for (std::size_t i = 0; i < kFit / 2; ++i) send_bytes(b, kSize);
  EXPECT_EQ(drops(DropReason::kTcpBufferFull), 2U);
  send_bytes(b, kSize);
  EXPECT_EQ(drops(DropReason::kTcpBufferFull), 3U);
}

// A file stands for a socket that the loop has no room for: epoll takes none.
TEST_F(FastPathTest, ASocketThatCannotBeWatchedEndsItsConnectionAtBothEnds) {
  ready();
  Link link = open();
  const UniqueFd file(::memfd_create("not a socket", MFD_CLOEXEC));
  ASSERT_TRUE(agent::send_handed_over(agent.get(), take_order().tag, file.get()));
  const flow::FlowSummary summary = ended(link);
  EXPECT_EQ(summary.outcome, policy::Outcome::kResetByHost);
  EXPECT_EQ(end_of(link.host.get()), ECONNRESET);
  EXPECT_EQ(take_orders<ReleaseOrder>().size(), 1U);
  EXPECT_EQ(drops(DropReason::kNoDescriptors), 1U);
  EXPECT_EQ(counter(kFailed), 1U);
  EXPECT_EQ(carrier().size(), 0U);
}

}  // namespace
}  // namespace sluice::driver
