// DNS over TCP to our address, through the whole engine: the guest's segments in, its segments and
// the questions to the resolver out.
#include "flow/engine/dns_streams.h"

#include "unit/dns/dns_messages.h"
#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {

using namespace dns::test;

namespace {

class DnsStreamsTest : public EngineFixture, public testing::WithParamInterface<wire::IpFamily> {
 protected:
  DnsStreamsTest() { engine().set_resolvers({resolver_}); }

  [[nodiscard]] bool v4() const { return GetParam() == wire::IpFamily::kV4; }
  [[nodiscard]] GuestSegment segment(wire::TcpFlags flags, const Bytes& payload = {}) const {
    return {.guest = {v4() ? network().guest_v4 : network().guest_v6, {port_}},
            .remote = {server_.value_or(v4() ? network().dns_v4 : network().dns_v6), {53}},
            .sequence = next_,
            .acknowledgment = flags.ack() ? host_next_ : wire::SeqNum{},
            .flags = flags,
            .payload = payload};
  }
  // As the driver: what the engine does not serve itself is kept.
  void serve() {
    auto& pending = sink.actions();
    for (std::size_t i = 0; i < pending.size(); ++i) {
      if (!engine().serve_own(pending[i], {now, sink})) left_.push_back(pending[i]);
      take_frames();
    }
    take_frames();
    sink.clear_actions();
  }
  void take_frames() {
    for (const wire::FrameOut& out : sink.frames()) {
      const ByteView header = sink.frames().header(out);
      Received received{{header.begin(), header.end()}, out.offload};
      received.bytes.insert(received.bytes.end(), out.payload.begin(), out.payload.end());
      take_segment(received.tcp());
    }
    sink.frames().clear();
  }
  void take_segment(const wire::TcpView& tcp) {
    if (tcp.flags().rst()) reset_ = true;
    if (tcp.flags().syn()) host_next_ = tcp.sequence() + 1;
    window_ = tcp.window();  // Not scaled: the SYN says nothing of it.
    if (tcp.sequence() != host_next_) return;
    received_.insert(received_.end(), tcp.payload().begin(), tcp.payload().end());
    host_next_ = host_next_ + static_cast<std::uint32_t>(tcp.payload().size());
    if (tcp.flags().fin()) {
      finished_ = true;
      host_next_ = host_next_ + 1;
    }
  }
  void guest(wire::TcpFlags flags, const Bytes& payload = {}) {
    const Bytes bytes = tcp_frame(network(), segment(flags, payload));
    engine().on_frame(bytes, {}, {now, sink});
    engine().end_burst(BurstEnd::kDrained, {now, sink});
    serve();
    next_ = next_ + static_cast<std::uint32_t>(payload.size()) + (flags.syn() ? 1 : 0) +
            (flags.fin() ? 1 : 0);
  }
  void connect() {
    guest(wire::kSyn);
    guest(wire::kAck);
    ASSERT_TRUE(left_.empty()) << "no socket of the host's is asked for";
  }
  void acknowledge() { guest(wire::kAck); }
  void ask(const Bytes& query) { guest(wire::kAck, framed(query)); }
  static Bytes framed(const Bytes& message) {
    Bytes all{static_cast<std::uint8_t>(message.size() >> 8),
              static_cast<std::uint8_t>(message.size())};
    all.insert(all.end(), message.begin(), message.end());
    return all;
  }
  std::vector<dns::OpenDnsUdp> asked() {
    std::vector<dns::OpenDnsUdp> all;
    for (const dns::DnsAction& action : engine().dns_actions()) {
      if (const auto* udp = std::get_if<dns::OpenDnsUdp>(&action)) all.push_back(*udp);
    }
    engine().dns_actions().clear();
    return all;
  }
  void answer(const dns::OpenDnsUdp& open, const AnswerOptions& options) {
    engine().on_dns_answer(open.slot, Engine::DnsTransport::kUdp,
                           make_answer(open.message, options), {now, sink});
    serve();
  }
  // The messages that the guest has, and nothing behind them.
  std::vector<Bytes> messages() {
    std::vector<Bytes> all;
    std::size_t at = 0;
    while (at + 2 <= received_.size()) {
      const std::size_t length = be16<0>(ByteView(received_).subspan(at).first<2>());
      if (at + 2 + length > received_.size()) break;
      const auto begin = received_.begin() + static_cast<std::ptrdiff_t>(at + 2);
      all.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(length));
      at += 2 + length;
    }
    EXPECT_EQ(at, received_.size());
    received_.clear();
    return all;
  }
  void wait(Duration time) {
    const Instant end = now + time;
    while (engine().next_wakeup() <= end) {
      now = std::max(now, engine().next_wakeup());
      engine().on_timers({now, sink});
      serve();
      if (host_next_ != acknowledged_) {
        acknowledged_ = host_next_;
        acknowledge();
      }
    }
    now = end;
  }

  wire::Endpoint resolver_ = endpoint("127.0.0.1:53");
  std::optional<wire::IpAddress> server_{};  // Ours, unless it is another.
  std::uint16_t port_ = 40'000;
  wire::SeqNum next_{1000};
  wire::SeqNum host_next_{};
  wire::SeqNum acknowledged_{};
  std::uint16_t window_ = 0;
  Bytes received_;
  bool finished_ = false;
  bool reset_ = false;
  std::vector<Action> left_;
};

INSTANTIATE_TEST_SUITE_P(Families, DnsStreamsTest,
                         testing::Values(wire::IpFamily::kV4, wire::IpFamily::kV6));

TEST_P(DnsStreamsTest, QuestionPassesTheRelay) {
  connect();
  ask(make_query("example.com", {.id = 0x4242}));
  const auto open = asked();
  ASSERT_EQ(open.size(), 1u);
  EXPECT_EQ(open[0].resolver, resolver_);
  EXPECT_NE(wire::DnsView::parse(open[0].message)->header().id, 0x4242);
  answer(open[0], {.records = {{"192.0.2.80"}}});
  const auto got = messages();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(wire::DnsView::parse(got[0])->header().id, 0x4242);
  EXPECT_EQ(engine().name_of(ip("192.0.2.80")), "example.com");
  // The second comes from the cache, the end is an ordinary one.
  ask(make_query("example.com", {.id = 0x4343}));
  EXPECT_TRUE(asked().empty());
  EXPECT_EQ(messages().size(), 1u);
  guest(wire::kFin | wire::kAck);
  EXPECT_TRUE(finished_);
  acknowledge();
  EXPECT_FALSE(reset_);
  ASSERT_EQ(left_.size(), 1u);
  const auto& report = std::get<ReportFlow>(left_[0]).summary;
  EXPECT_EQ(report.outcome, policy::Outcome::kClosed);
  EXPECT_EQ(report.key.remote.port.value, 53);
  wait(5s);
  EXPECT_EQ(engine().flow_count(), 0u);
  EXPECT_EQ(engine().next_wakeup(), kNever);
}

// Whoever is asked: where names decide, all DNS ends here.
TEST_P(DnsStreamsTest, ANameThatIsRefusedLeavesNobodyAsked) {
  policy::EgressDraft draft{.fallback = policy::Effect::kDeny};
  draft.rules.push_back({policy::parse_egress_target("ok.test").value(), {}});
  const auto policy = policy::EgressPolicy::compile(std::move(draft)).value();
  for (const bool foreign : {false, true}) {
    restart({.egress = &policy});
    engine().set_resolvers({resolver_});
    received_.clear();
    if (foreign) server_ = ip(v4() ? "8.8.8.8" : "2001:4860:4860::8888");
    ++port_;
    connect();
    ask(make_query("secret.evil.test", {.id = 0x4242}));
    EXPECT_TRUE(asked().empty());
    const auto got = messages();
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(wire::DnsView::parse(got[0])->header().rcode, wire::DnsRcode::kNxDomain);
    ask(make_query("ok.test", {.id = 0x4343}));
    const auto open = asked();
    ASSERT_EQ(open.size(), 1u);
    EXPECT_EQ(open[0].resolver, resolver_);
  }
}

TEST_P(DnsStreamsTest, PipelinedQuestionsAreAnsweredInAnyOrder) {
  connect();
  Bytes both = framed(make_query("one.example", {.id = 1}));
  const Bytes second = framed(make_query("two.example", {.id = 2}));
  both.insert(both.end(), second.begin(), second.end());
  guest(wire::kAck, both);
  const auto open = asked();
  ASSERT_EQ(open.size(), 2u);
  answer(open[1], {.records = {{"192.0.2.2"}}});
  answer(open[0], {.records = {{"192.0.2.1"}}});
  acknowledge();
  const auto got = messages();
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(wire::DnsView::parse(got[0])->header().id, 2);
  EXPECT_EQ(wire::DnsView::parse(got[1])->header().id, 1);
}

TEST_P(DnsStreamsTest, EndBeforeTheAnswerStillGetsIt) {
  connect();
  guest(wire::kFin | wire::kAck, framed(make_query("example.com")));
  const auto open = asked();
  ASSERT_EQ(open.size(), 1u);
  EXPECT_FALSE(finished_);
  answer(open[0], {.records = {{"192.0.2.80"}}});
  acknowledge();
  EXPECT_EQ(messages().size(), 1u);
  EXPECT_TRUE(finished_);
}

TEST_P(DnsStreamsTest, WhatIsNoDnsIsReset) {
  connect();
  guest(wire::kAck, {'G', 'E', 'T', ' ', '/', ' ', 'H', 'T', 'T', 'P'});
  EXPECT_TRUE(reset_);
  EXPECT_TRUE(asked().empty());
  EXPECT_EQ(engine().flow_count(), 0u);
  // An answer is no question either.
  reset_ = false;
  ++port_;
  left_.clear();
  connect();
  ask(make_answer(make_query("example.com"), {.records = {{"192.0.2.1"}}}));
  EXPECT_TRUE(reset_);
  EXPECT_EQ(drops(DropReason::kDnsRejected), 1u);
}

TEST_P(DnsStreamsTest, LongAnswerComesWhole) {
  connect();
  ask(make_query("big.example", {.type = wire::DnsType::kTxt}));
  const auto open = asked();
  ASSERT_EQ(open.size(), 1u);
  answer(open[0], {.truncated = true});
  ASSERT_EQ(engine().dns_actions().size(), 2u);
  const auto tcp = std::get<dns::OpenDnsTcp>(engine().dns_actions()[1]);
  engine().dns_actions().clear();
  engine().on_dns_answer(tcp.slot, Engine::DnsTransport::kTcp,
                         make_answer(tcp.message, {.padding = 18'000}), {now, sink});
  serve();
  for (int i = 0; i < 4; ++i) acknowledge();
  const auto got = messages();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_GT(got[0].size(), 18'000u);
  EXPECT_FALSE(wire::DnsView::parse(got[0])->header().truncated);
}

TEST_P(DnsStreamsTest, IdleOneIsEndedAndThenReset) {
  connect();
  ask(make_query("example.com"));
  const auto open = asked();
  ASSERT_EQ(open.size(), 1u);
  answer(open[0], {.records = {{"192.0.2.80"}}});
  acknowledge();
  guest(wire::kAck, {0, 40, 1, 2});  // Half a question is no sign of life.
  wait(DnsStreams::kIdleMax - 2s);
  EXPECT_FALSE(finished_);
  wait(5s);
  EXPECT_TRUE(finished_);
  EXPECT_FALSE(reset_);
  wait(DnsStreams::kCloseMax);
  EXPECT_TRUE(reset_);
  EXPECT_EQ(engine().flow_count(), 0u);
}

TEST_P(DnsStreamsTest, QuestionsBeyondTheBoundWaitInTheWindow) {
  connect();
  std::size_t sent = 0;
  std::size_t upstream = 0;
  for (; sent < 2000 && window_ > 0; ++sent) {
    const Bytes one = framed(make_query("host" + std::to_string(sent) + ".example",
                                        {.id = static_cast<std::uint16_t>(sent)}));
    guest(wire::kAck, one);
    upstream += asked().size();
    if (window_ < one.size()) break;
  }
  EXPECT_EQ(upstream, dns::DnsStream::kQuestionsMax);
  EXPECT_LT(sent, 2000u);
  EXPECT_FALSE(reset_);
  EXPECT_EQ(drops(DropReason::kTcpBufferFull), 0u);
}

TEST_P(DnsStreamsTest, ConnectionsAreBounded) {
  for (std::size_t i = 0; i < DnsStreams::kStreamsMax; ++i, ++port_) connect();
  EXPECT_FALSE(reset_);
  guest(wire::kSyn);
  EXPECT_TRUE(reset_);
}

}  // namespace
}  // namespace sluice::flow::test
