// Published ports: whose clients get in, who makes room for whom, and where answers go.
#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

class InboundTest : public TcpFixture {
 protected:
  const wire::Endpoint service_{network().guest_v4, {53}};

  void restart_with(std::uint32_t max_flows) {
    EngineOptions options;
    options.limits.max_flows = max_flows;
    restart(std::move(options));
    port_ = engine().udp().publish(service_);
  }
  // A datagram to the published port; the frame that it became for the guest, if any.
  std::optional<Received> ask(const wire::Endpoint& client,
                              std::optional<wire::IpAddress> local = std::nullopt) {
    clear();
    const Bytes payload = stream(0, 12);
    engine().udp().on_received(port_, client, local, payload, 0, {now, sink});
    collect();
    if (frames.empty()) return std::nullopt;
    return take_frame();
  }
  // The guest's server answers what `question` brought.
  std::optional<SendUdp> answer(const Received& question) {
    clear();
    feed(udp_frame(network(), {question.packet().destination, question.udp().destination_port()},
                   {question.packet().source, question.udp().source_port()}, stream(5, 30)));
    if (datagrams.empty()) return std::nullopt;
    return datagrams[0].action;
  }
  static wire::Endpoint stranger(std::uint32_t number) {
    return {wire::IpAddress::v4(0xc612'0000 + number), wire::Port{4000}};
  }
  [[nodiscard]] std::size_t count(policy::Outcome outcome) const {
    std::size_t found = 0;
    for (const ReportFlow& report : all<ReportFlow>()) {
      if (report.summary.outcome == outcome) ++found;
    }
    return found;
  }

  UdpId port_ = engine().udp().publish(service_);
};

// The process has no descriptor left.
TEST_F(InboundTest, TheIdlestEndpointOfOneQuestionMakesRoomForADescriptor) {
  const auto ask_from = [this](std::uint16_t port, std::uint16_t to = 53) {
    clear();
    now += std::chrono::milliseconds(1);
    feed(udp_frame(network(), {network().guest_v4, wire::Port{port}},
                   {wire::IpAddress::v4(0xc633'6401), wire::Port{to}}, stream(0, 12)));
    return datagrams.empty() ? UdpId{} : datagrams.back().action.socket;
  };
  const auto give_up = [this] {
    clear();
    const auto spared = engine().udp().give_up_one({now, sink});
    collect();
    return spared;
  };
  EXPECT_FALSE(give_up()) << "there is nothing to spare";
  const UdpId answered = ask_from(1000);
  const UdpId silent = ask_from(1001);
  (void)ask_from(1002);  // Asks again:
  (void)ask_from(1002);
  (void)ask_from(1003);  // Asks two:
  (void)ask_from(1003, 54);
  const Bytes answer_bytes = stream(0, 12);  // The frame borrows them.
  engine().udp().on_received(answered, {wire::IpAddress::v4(0xc633'6401), wire::Port{53}},
                             std::nullopt, answer_bytes, 0, {now, sink});
  const UdpId newest = ask_from(1004);

  EXPECT_EQ(give_up(), silent);
  EXPECT_EQ(all<CloseUdp>().size(), 1u);
  EXPECT_EQ(count(policy::Outcome::kMadeRoom), 1u);
  EXPECT_EQ(give_up(), answered);
  EXPECT_FALSE(give_up()) << "conversations stay, and so does the newest";
  EXPECT_NE(newest, UdpId{});
  EXPECT_EQ(engine().udp().socket_count(), 4u);  // The published port's among them.
}

TEST_F(InboundTest, ForgedSendersNeverUseUpTheGuestsFlows) {
  restart_with(100);
  for (std::uint32_t i = 0; i < 5000; ++i) ASSERT_TRUE(ask(stranger(i))) << i;
  EXPECT_EQ(engine().flow_count(), 50u);
  for (std::uint16_t i = 0; i < 50; ++i) {
    clear();
    feed(syn({.guest = {network().guest_v4, wire::Port{static_cast<std::uint16_t>(30'000 + i)}}}));
    ASSERT_EQ(all<ConnectTcp>().size(), 1u) << i;
  }
  EXPECT_EQ(drops(DropReason::kTooManyFlows), 0u);
}

TEST_F(InboundTest, AnHonestClientIsServedWhileStrangersFlood) {
  restart_with(100);
  const wire::Endpoint honest = endpoint("203.0.113.5:6000");
  auto question = ask(honest);
  ASSERT_TRUE(question.has_value());
  ASSERT_TRUE(answer(*question).has_value());
  ASSERT_TRUE(ask(honest).has_value());  // It has our answer: it stays.
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const auto forged = ask(stranger(i));
    ASSERT_TRUE(forged.has_value());
    if (i % 3 == 0) {
      ASSERT_TRUE(answer(*forged).has_value());
    }
  }
  const auto reply = answer(*question);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->target, honest);
  // And one who comes in the middle of it gets an answer too.
  question = ask(endpoint("203.0.113.6:6000"));
  ASSERT_TRUE(question.has_value());
  for (std::uint32_t i = 2000; i < 2020; ++i) ASSERT_TRUE(ask(stranger(i)).has_value());
  EXPECT_TRUE(answer(*question).has_value());
}

TEST_F(InboundTest, TheUnansweredMakeRoomFirstThenTheOldestAnswered) {
  restart_with(6);
  std::vector<Received> questions;
  for (std::uint32_t i = 0; i < 3; ++i) questions.push_back(*ask(stranger(i)));
  ASSERT_TRUE(answer(questions[0]).has_value());
  ASSERT_TRUE(answer(questions[2]).has_value());
  pass(1s);
  clear();
  // The second was not answered.
  questions.push_back(*ask(stranger(3)));
  EXPECT_EQ(count(policy::Outcome::kMadeRoom), 1u);
  EXPECT_EQ(all<ReportFlow>()[0].summary.key.remote, stranger(1));
  ASSERT_TRUE(answer(questions[3]).has_value());
  (void)ask(stranger(4));
  EXPECT_EQ(all<ReportFlow>()[0].summary.key.remote, stranger(0));
}

// An answer that comes late finds no flow; it must not begin one at the guest's expense.
TEST_F(InboundTest, LateAnswersToThoseThatMadeRoomCountAsTheirs) {
  restart_with(100);
  std::vector<Received> questions;
  for (std::uint32_t i = 0; i < 500; ++i) questions.push_back(*ask(stranger(i)));
  for (const Received& question : questions) (void)answer(question);
  EXPECT_EQ(engine().flow_count(), 50u);
  for (std::uint16_t i = 0; i < 50; ++i) {
    clear();
    feed(syn({.guest = {network().guest_v4, wire::Port{static_cast<std::uint16_t>(30'000 + i)}}}));
    ASSERT_EQ(all<ConnectTcp>().size(), 1u) << i;
  }
  // Whom the guest writes to first, and who answers, stays.
  restart_with(4);
  const wire::Endpoint peer = endpoint("203.0.113.5:6000");
  clear();
  feed(udp_frame(network(), service_, peer, stream(0, 4)));
  const UdpId socket = all<OpenUdp>()[0].socket;
  const Bytes answer_bytes = stream(0, 4);  // The frames borrow them.
  engine().udp().on_received(socket, peer, std::nullopt, answer_bytes, 0, {now, sink});
  collect();
  for (std::uint32_t i = 0; i < 10; ++i) (void)ask(stranger(i));
  clear();
  engine().udp().on_received(socket, peer, std::nullopt, answer_bytes, 0, {now, sink});
  collect();
  EXPECT_EQ(frames.size(), 1u);
}

// Else the last of many who are answered at once would never be.
TEST_F(InboundTest, WhoAskedJustNowIsNotPushedOutByTheNextQuestion) {
  restart_with(100);
  for (std::uint32_t i = 0; i < 50; ++i) {
    const auto forged = ask(stranger(i));
    ASSERT_TRUE(forged && answer(*forged));
  }
  const auto question = ask(endpoint("203.0.113.5:6000"));
  ASSERT_TRUE(question.has_value());
  for (std::uint32_t i = 100; i < 140; ++i) ASSERT_TRUE(ask(stranger(i)).has_value());
  const auto reply = answer(*question);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(all<OpenUdp>().size(), 0u);  // It goes by the port that was asked.
}

// Its late answer made a flow of the guest's, which must not shut the client out.
TEST_F(InboundTest, AClientThatMadeRoomMayComeAgain) {
  restart_with(4);
  const wire::Endpoint honest = endpoint("203.0.113.5:6000");
  const auto question = ask(honest);
  ASSERT_TRUE(question.has_value());
  for (std::uint32_t i = 0; i < 3; ++i) ASSERT_TRUE(ask(stranger(i)).has_value());
  ASSERT_TRUE(answer(*question).has_value());
  EXPECT_EQ(all<OpenUdp>().size(), 1u);
  const auto again = ask(honest);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->udp().source_port(), honest.port);
  ASSERT_TRUE(answer(*again).has_value());
  EXPECT_TRUE(all<OpenUdp>().empty());
}

TEST_F(InboundTest, ClientsThatSpokeAgainAreKept) {
  restart_with(4);
  for (std::uint32_t i = 0; i < 2; ++i) {
    const auto question = ask(stranger(i));
    ASSERT_TRUE(question && answer(*question));
    ASSERT_TRUE(ask(stranger(i)).has_value());
  }
  EXPECT_FALSE(ask(stranger(9)).has_value());
  EXPECT_EQ(all<ReportFlow>()[0].summary.verdict, policy::Verdict::kTooManyFlows);
  EXPECT_TRUE(all<ReportFlow>()[0].summary.inbound);
  EXPECT_TRUE(ask(stranger(0)).has_value());
  pass(UdpFlows::kAnswered + 1s);
  EXPECT_EQ(engine().flow_count(), 0u);
  EXPECT_TRUE(ask(stranger(9)).has_value());
}

TEST_F(InboundTest, AClientOfTheHostsLoopbackIsAnswered) {
  const auto question = ask(endpoint("127.0.0.1:6000"), ip("127.0.0.1"));
  ASSERT_TRUE(question.has_value());
  EXPECT_EQ(question->packet().source, network().gateway_v4);
  const auto reply = answer(*question);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->target, endpoint("127.0.0.1:6000"));
  EXPECT_EQ(reply->local, ip("127.0.0.1"));
  // The gateway is no way to the loopback for what nobody asked.
  clear();
  feed(udp_frame(network(), service_, {network().gateway_v4, wire::Port{6001}}, stream(0, 4)));
  EXPECT_TRUE(datagrams.empty());
}

TEST_F(InboundTest, EachAddressOfTheHostAnswersForItself) {
  const wire::Endpoint client = endpoint("203.0.113.5:6000");
  const auto first = ask(client, ip("192.0.2.1"));
  const auto second = ask(client, ip("192.0.2.2"));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->udp().source_port(), client.port);
  EXPECT_NE(second->udp().source_port(), client.port);
  for (int i = 0; i < 2; ++i) {
    const auto one = answer(*first);
    const auto two = answer(*second);
    ASSERT_TRUE(one && two);
    EXPECT_EQ(one->local, ip("192.0.2.1"));
    EXPECT_EQ(two->local, ip("192.0.2.2"));
    EXPECT_EQ(one->target, client);
    EXPECT_EQ(two->target, client);
  }
}

TEST_F(InboundTest, ClientsBehindTheGatewayAreToldApart) {
  const auto one = ask(endpoint("127.0.0.1:6000"), ip("127.0.0.1"));
  const auto two = ask(endpoint("127.0.0.2:6000"), ip("127.0.0.1"));
  ASSERT_TRUE(one && two);
  EXPECT_EQ(answer(*one)->target, endpoint("127.0.0.1:6000"));
  EXPECT_EQ(answer(*two)->target, endpoint("127.0.0.2:6000"));
}

TEST_F(InboundTest, HalfOpenConnectionsMakeRoomForNewerOnes) {
  restart_with(6);
  const wire::Endpoint web{network().guest_v4, {80}};
  std::vector<TcpId> ids;
  for (std::uint32_t i = 0; i < 10; ++i) {
    const auto id = tcp().on_inbound(stranger(i), web, 64 * 1024, {now, sink});
    ASSERT_TRUE(id.has_value()) << i;
    // The driver still has the connection that makes room at its place.
    if (i >= 3) {
      EXPECT_NE(id->index, ids[i - 3].index);
    }
    ids.push_back(*id);
  }
  collect();
  EXPECT_EQ(engine().flow_count(), 3u);
  EXPECT_EQ(count(policy::Outcome::kMadeRoom), 7u);
  const auto closed = all<CloseTcp>();
  ASSERT_EQ(closed.size(), 7u);
  EXPECT_EQ(closed[0].flow, ids[0]);
  EXPECT_TRUE(closed[0].reset);
  // Those that the guest took stay, and who comes then is refused.
  clear();
  for (std::size_t i = 7; i < 10; ++i) {
    const FlowKey key{web, stranger(static_cast<std::uint32_t>(i)), wire::IpProtocol::kTcp};
    ASSERT_NE(tcp().find(key), nullptr);
    feed(GuestSegment{.guest = key.guest,
                      .remote = key.remote,
                      .sequence = wire::SeqNum{5000},
                      .acknowledgment = std::get<SynSent>(tcp().find(key)->state).our_isn + 1,
                      .flags = wire::kSyn | wire::kAck,
                      .options = {.mss = 1460}});
  }
  const auto late = tcp().on_inbound(stranger(99), web, 64 * 1024, {now, sink});
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error(), policy::Verdict::kTooManyFlows);
  EXPECT_EQ(engine().flow_count(), 3u);
}

class ClientThatResetsTest : public InboundTest, public ::testing::WithParamInterface<bool> {
 protected:
  ClientThatResetsTest() {
    id_ = *tcp().on_inbound(key_.remote, key_.guest, 64 * 1024, {now, sink});
    collect();
    clear();
  }
  // SYN-ACK, to the SYN that we sent last.
  void answer_syn() {
    feed(GuestSegment{.guest = key_.guest,
                      .remote = key_.remote,
                      .sequence = wire::SeqNum{5000},
                      .acknowledgment = std::get<SynSent>(tcp().find(key_)->state).our_isn + 1,
                      .flags = wire::kSyn | wire::kAck,
                      .options = {.mss = 1460}});
  }

  const FlowKey key_ = GetParam() ? FlowKey{{network().guest_v4, wire::Port{80}},
                                            endpoint("203.0.113.5:6000"),
                                            wire::IpProtocol::kTcp}
                                  : FlowKey{{network().guest_v6, wire::Port{80}},
                                            endpoint("[2001:db8::5]:6000"),
                                            wire::IpProtocol::kTcp};
  TcpId id_{};
};

TEST_P(ClientThatResetsTest, TheGuestIsNotAskedAgain) {
  pass(20s);  // Three SYNs have had no answer.
  clear();
  tcp().on_host_error(id_, HostError::kReset, {now, sink});
  pass(999ms);
  EXPECT_EQ(engine().flow_count(), 1u);
  pass(1ms);
  EXPECT_EQ(engine().flow_count(), 0u);
  EXPECT_EQ(count(policy::Outcome::kResetByHost), 1u);
  ASSERT_EQ(all<CloseTcp>().size(), 1u);
  const Received last = take_frame();
  EXPECT_TRUE(last.tcp().flags().rst());
  EXPECT_TRUE(frames.empty());
}

TEST_P(ClientThatResetsTest, WhatItSentBeforeIsForAGuestThatAnswers) {
  tcp().on_readable(id_, false, {now, sink});
  tcp().on_host_error(id_, HostError::kReset, {now, sink});
  pass(500ms);
  clear();
  answer_syn();
  ASSERT_EQ(all<PeekTcp>().size(), 1u);
  EXPECT_EQ(all<CloseTcp>().size(), 0u);
}

// It may have asked all it wants to know: only a reset says that it does not wait.
TEST_P(ClientThatResetsTest, AClientThatHasOnlyFinishedIsWaitedFor) {
  tcp().on_readable(id_, true, {now, sink});
  pass(20s);
  EXPECT_EQ(engine().flow_count(), 1u);
  clear();
  answer_syn();
  EXPECT_EQ(all<PeekTcp>().size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Families, ClientThatResetsTest, ::testing::Bool());

// What the guest answers to our newest SYN.
struct Knock {
  wire::Endpoint guest;
  wire::Endpoint remote;
  wire::SeqNum isn;
};

class LocalhostTest : public InboundTest {
 protected:
  Knock knock(const wire::Endpoint& client, const wire::IpAddress& guest) {
    clear();
    id_ = tcp().on_inbound(client, {guest, {80}}, 64 * 1024, {now, sink}).value();
    collect();
    return newest();
  }
  Knock newest() {
    const Received frame = take_frame();
    EXPECT_EQ(frame.tcp().flags(), wire::kSyn);
    return {{frame.packet().destination, frame.tcp().destination_port()},
            {frame.packet().source, frame.tcp().source_port()},
            frame.tcp().sequence()};
  }
  void refuse(const Knock& knock) {
    feed(GuestSegment{.guest = knock.guest,
                      .remote = knock.remote,
                      .acknowledgment = knock.isn + 1,
                      .flags = wire::kRst | wire::kAck});
  }
  TcpId id_;
};

TEST_F(LocalhostTest, AServerOfTheOtherFamilyIsFound) {
  for (const bool v6_first : {true, false}) {
    const auto& first = v6_first ? network().guest_v6 : network().guest_v4;
    const auto& second = v6_first ? network().guest_v4 : network().guest_v6;
    const Knock one = knock(endpoint(v6_first ? "[::1]:6000" : "127.0.0.1:6000"), first);
    EXPECT_EQ(one.guest.address, first);
    refuse(one);
    EXPECT_TRUE(all<CloseTcp>().empty());
    const Knock two = newest();
    EXPECT_EQ(two.guest.address, second);
    EXPECT_EQ(two.remote.address, v6_first ? network().gateway_v4 : network().gateway_v6);
    GuestSegment accept{.guest = two.guest,
                        .remote = two.remote,
                        .sequence = wire::SeqNum{5000},
                        .acknowledgment = two.isn + 1,
                        .flags = wire::kSyn | wire::kAck,
                        .options = {.mss = 1460}};
    feed(accept);
    EXPECT_EQ(take_frame().tcp().acknowledgment(), wire::SeqNum{5001});
    clear();
    tcp().on_readable(id_, false, {now, sink});
    collect();
    EXPECT_EQ(all<PeekTcp>().size(), 1u);
  }
}

TEST_F(LocalhostTest, WhereNobodyListensTheClientIsRefused) {
  refuse(knock(endpoint("[::1]:6000"), network().guest_v6));
  refuse(newest());
  ASSERT_EQ(all<CloseTcp>().size(), 1u);
  EXPECT_TRUE(all<CloseTcp>()[0].reset);
  EXPECT_EQ(all<ReportFlow>()[0].summary.outcome, policy::Outcome::kRefused);
  EXPECT_EQ(engine().flow_count(), 0u);
}

// Its address would be hidden from the server, which may judge by it.
TEST_F(LocalhostTest, AClientOfTheNetworkIsNotLedElsewhere) {
  refuse(knock(endpoint("[2001:db8::9]:6000"), network().guest_v6));
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(all<CloseTcp>().size(), 1u);
}

}  // namespace
}  // namespace sluice::flow::test
