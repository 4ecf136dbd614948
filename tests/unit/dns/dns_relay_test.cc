#include "dns/dns_relay.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "unit/dns/dns_messages.h"

namespace sluice::dns {
namespace {

using namespace std::chrono_literals;
using test::Bytes;
using test::make_answer;
using test::make_query;
using wire::DnsRcode;
using wire::DnsView;
using wire::Endpoint;

constexpr SipKey kSeed{5, 6};
constexpr Instant kStart{1000s};
const Endpoint kClient{wire::IpAddress::v4(0x0a00'020f), {40'000}};
const Endpoint kFirst{wire::IpAddress::v4(0xc000'0201), {53}};
const Endpoint kSecond{wire::IpAddress::v4(0xc000'0202), {53}};

// Feeds the relay and sorts what it asks for.
struct Bench {
  DnsRelay relay;
  Instant now = kStart;
  DnsRelay::Actions actions{};

  explicit Bench(const std::vector<Endpoint>& resolvers = {kFirst, kSecond},
                 const DnsRelayLimits& limits = {})
      : relay(kSeed, limits) {
    relay.set_resolvers(resolvers);
  }
  DnsQueryOutcome query(const Bytes& message, const Endpoint& client = kClient) {
    return relay.on_query({.endpoint = client, .asked = {}, .stream = {}}, message, now, actions);
  }
  void answer_udp(DnsSlot slot, const Bytes& message) {
    relay.on_upstream_udp(slot, message, now, actions);
  }
  void timer_at(Instant at) {
    now = at;
    relay.on_timer(now, actions);
  }
  // Takes the oldest action, which must be of this kind.
  template <typename T>
  T take() {
    EXPECT_FALSE(actions.empty());
    if (actions.empty()) return T{};
    EXPECT_TRUE(std::holds_alternative<T>(actions.front())) << actions.front().index();
    if (!std::holds_alternative<T>(actions.front())) return T{};
    T action = std::get<T>(actions.front());
    actions.erase(actions.begin());
    return action;
  }
  DnsRcode take_rcode() { return DnsView::parse(take<DnsAnswer>().message).value().header().rcode; }
};

TEST(DnsRelay, AQuestionIsResolved) {
  Bench b;
  const Bytes query = make_query("example.com", {.id = 0x4242});
  EXPECT_EQ(b.query(query), DnsQueryOutcome::kForwarded);
  const auto open = b.take<OpenDnsUdp>();
  EXPECT_EQ(open.resolver, kFirst);
  EXPECT_EQ(open.resolver_index, 0u);
  b.answer_udp(open.slot, make_answer(open.message, {.records = {{"192.0.2.80"}}}));
  const auto answer = b.take<DnsAnswer>();
  EXPECT_EQ(answer.client.endpoint, kClient);
  EXPECT_EQ(DnsView::parse(answer.message)->header().id, 0x4242);
  EXPECT_EQ(b.take<CloseDns>().slot, open.slot);
  EXPECT_TRUE(b.actions.empty());
  EXPECT_EQ(b.relay.pending(), 0u);
  EXPECT_EQ(b.relay.next_deadline(), kNever);
}

TEST(DnsRelay, UpstreamIdIsItsOwnAndUnlikeTheLast) {
  Bench b;
  std::set<std::uint16_t> ids;
  for (int i = 0; i < 100; ++i) {
    (void)b.query(make_query("host" + std::to_string(i) + ".example", {.id = 7}));
    ids.insert(DnsView::parse(b.take<OpenDnsUdp>().message)->header().id);
  }
  EXPECT_GT(ids.size(), 95u);
}

TEST(DnsRelay, SecondQuestionComesFromTheCache) {
  Bench b;
  (void)b.query(make_query("example.com"));
  const auto open = b.take<OpenDnsUdp>();
  b.answer_udp(open.slot, make_answer(open.message, {.records = {{"192.0.2.80", 60}}}));
  b.actions.clear();
  b.now += 20s;
  EXPECT_EQ(b.query(make_query("EXAMPLE.com", {.id = 0x9999})), DnsQueryOutcome::kAnswered);
  const auto answer = b.take<DnsAnswer>();
  EXPECT_EQ(DnsView::parse(answer.message)->header().id, 0x9999);
  EXPECT_EQ(test::first_ttl(answer.message), 40u);
  b.now += 40s;
  EXPECT_EQ(b.query(make_query("example.com")), DnsQueryOutcome::kForwarded);
}

// The socket is connected, so no other source can answer, and what it brings must be an answer with
// our id to our question.
TEST(DnsRelay, OnlyTheAnswerToTheQuestionIsBelieved) {
  Bench b;
  (void)b.query(make_query("example.com"));
  const auto open = b.take<OpenDnsUdp>();
  const Bytes good = make_answer(open.message, {.records = {{"192.0.2.80"}}});
  Bytes wrong_id = good;
  wrong_id[0] ^= 1;
  b.answer_udp(open.slot, wrong_id);
  Bytes other = make_query("evil.example");
  other[0] = open.message[0];
  other[1] = open.message[1];
  b.answer_udp(open.slot, make_answer(other, {.records = {{"192.0.2.66"}}}));
  b.answer_udp(open.slot, open.message);  // Our query sent back.
  b.answer_udp(open.slot, Bytes(5, 0));
  b.answer_udp(open.slot, Bytes{});
  EXPECT_TRUE(b.actions.empty());
  EXPECT_EQ(b.relay.rejected_answers(), 5u);
  b.answer_udp(DnsSlot{open.slot.value ^ 0x10000}, good);
  b.answer_udp(DnsSlot{12'345}, good);
  EXPECT_TRUE(b.actions.empty());
  b.answer_udp(open.slot, good);
  EXPECT_EQ(b.take_rcode(), DnsRcode::kNoError);
  // A second answer finds nobody.
  b.actions.clear();
  b.answer_udp(open.slot, good);
  EXPECT_TRUE(b.actions.empty());
}

TEST(DnsRelay, SilentResolverGivesWayAndIsRemembered) {
  Bench b;
  (void)b.query(make_query("example.com"));
  const auto first = b.take<OpenDnsUdp>();
  EXPECT_EQ(b.relay.next_deadline(), kStart + 1s);
  b.timer_at(kStart + 1s);
  EXPECT_EQ(b.take<CloseDns>().slot, first.slot);
  const auto second = b.take<OpenDnsUdp>();
  EXPECT_EQ(second.resolver, kSecond);
  EXPECT_NE(second.slot, first.slot);
  // Late: the first attempt is over.
  b.answer_udp(first.slot, make_answer(first.message, {.records = {{"192.0.2.80"}}}));
  EXPECT_TRUE(b.actions.empty());
  b.answer_udp(second.slot, make_answer(second.message, {.records = {{"192.0.2.80"}}}));
  b.actions.clear();
  // The next question does not wait for the dead one,
  (void)b.query(make_query("other.example"));
  EXPECT_EQ(b.take<OpenDnsUdp>().resolver, kSecond);
  // and after some time it gets another chance.
  b.now += DnsRelay::kDeadFor;
  (void)b.query(make_query("third.example"));
  EXPECT_EQ(b.take<OpenDnsUdp>().resolver, kFirst);
}

TEST(DnsRelay, ResolverThatAnswersOthersIsNotDead) {
  Bench b;
  (void)b.query(make_query("slow.example"));
  (void)b.take<OpenDnsUdp>();
  b.now += 500ms;
  (void)b.query(make_query("fast.example"));
  const auto fast = b.take<OpenDnsUdp>();
  b.answer_udp(fast.slot, make_answer(fast.message, {.records = {{"192.0.2.1"}}}));
  b.timer_at(kStart + 1s);
  b.actions.clear();
  (void)b.query(make_query("next.example"));
  EXPECT_EQ(b.take<OpenDnsUdp>().resolver, kFirst);
}

TEST(DnsRelay, AllRefuseMeansServFailAtOnce) {
  Bench b;
  (void)b.query(make_query("example.com"));
  const auto first = b.take<OpenDnsUdp>();
  b.relay.on_upstream_error(first.slot, b.now, b.actions);
  (void)b.take<CloseDns>();
  const auto second = b.take<OpenDnsUdp>();
  EXPECT_EQ(second.resolver, kSecond);
  b.relay.on_upstream_error(second.slot, b.now, b.actions);
  EXPECT_EQ(b.take_rcode(), DnsRcode::kServFail);
  EXPECT_EQ(b.take<CloseDns>().slot, second.slot);
  EXPECT_EQ(b.relay.pending(), 0u);
}

TEST(DnsRelay, AllSilentMeansServFailInTheEnd) {
  Bench b;
  (void)b.query(make_query("example.com"));
  int attempts = 0;
  for (int i = 0; i < 100 && b.relay.pending() > 0; ++i) b.timer_at(b.relay.next_deadline());
  bool failed = false;
  for (const DnsAction& action : b.actions) {
    attempts += std::holds_alternative<OpenDnsUdp>(action) ? 1 : 0;
    if (const auto* answer = std::get_if<DnsAnswer>(&action)) {
      failed = DnsView::parse(answer->message)->header().rcode == DnsRcode::kServFail;
    }
  }
  EXPECT_TRUE(failed);
  EXPECT_GE(attempts, 4);
  EXPECT_LE(attempts, 6);
  EXPECT_LE(b.now, kStart + DnsRelay::kGiveUpAfter);
}

TEST(DnsRelay, FailingResolverGivesWayButItsAnswerCountsAtLast) {
  Bench b;
  (void)b.query(make_query("example.com"));
  const auto first = b.take<OpenDnsUdp>();
  b.answer_udp(first.slot, make_answer(first.message, {.rcode = DnsRcode::kRefused}));
  (void)b.take<CloseDns>();
  const auto second = b.take<OpenDnsUdp>();
  EXPECT_EQ(second.resolver, kSecond);
  b.answer_udp(second.slot, make_answer(second.message, {.rcode = DnsRcode::kServFail}));
  EXPECT_EQ(b.take_rcode(), DnsRcode::kServFail);
}

TEST(DnsRelay, TruncatedIsAskedAgainOverTcp) {
  Bench b;
  (void)b.query(make_query("big.example", {.edns_size = 4096}));
  const auto udp = b.take<OpenDnsUdp>();
  b.answer_udp(udp.slot, make_answer(udp.message, {.truncated = true}));
  EXPECT_EQ(b.take<CloseDns>().slot, udp.slot);
  const auto tcp = b.take<OpenDnsTcp>();
  EXPECT_EQ(tcp.resolver, kFirst);
  const Bytes whole = make_answer(tcp.message, {.records = {{"192.0.2.1"}}, .padding = 2000});
  b.relay.on_upstream_tcp(tcp.slot, whole, b.now, b.actions);
  // It fits what the guest takes.
  const auto answer = b.take<DnsAnswer>();
  EXPECT_EQ(answer.message.size(), whole.size());
  EXPECT_FALSE(DnsView::parse(answer.message)->header().truncated);
  // From the cache, to a guest that takes less: truncated, so that it asks over TCP itself.
  b.actions.clear();
  (void)b.query(make_query("big.example", {.edns_size = 1232}));
  const auto small = b.take<DnsAnswer>();
  EXPECT_LE(small.message.size(), 1232u);
  EXPECT_TRUE(DnsView::parse(small.message)->header().truncated);
}

TEST(DnsRelay, WithoutEdnsAnswersEndAt512Bytes) {
  Bench b;
  (void)b.query(make_query("big.example"));
  const auto open = b.take<OpenDnsUdp>();
  b.answer_udp(open.slot, make_answer(open.message, {.records = {{"192.0.2.1"}}, .padding = 600}));
  const auto answer = b.take<DnsAnswer>();
  EXPECT_LE(answer.message.size(), 512u);
  EXPECT_TRUE(DnsView::parse(answer.message)->header().truncated);
}

TEST(DnsRelay, WhereTcpFailsTheGuestIsToldToTryIt) {
  Bench b;
  (void)b.query(make_query("big.example"));
  const auto udp = b.take<OpenDnsUdp>();
  b.answer_udp(udp.slot, make_answer(udp.message, {.truncated = true}));
  (void)b.take<CloseDns>();
  const auto tcp = b.take<OpenDnsTcp>();
  b.relay.on_upstream_error(tcp.slot, b.now, b.actions);
  // Another resolver may be reached.
  (void)b.take<CloseDns>();
  const auto other = b.take<OpenDnsTcp>();
  EXPECT_EQ(other.resolver, kSecond);
  b.relay.on_upstream_error(other.slot, b.now, b.actions);
  EXPECT_TRUE(DnsView::parse(b.take<DnsAnswer>().message)->header().truncated);
  EXPECT_EQ(b.relay.pending(), 0u);
}

TEST(DnsRelay, WithoutResolversServFailAtOnce) {
  Bench b(std::vector<Endpoint>{});
  EXPECT_EQ(b.query(make_query("example.com", {.id = 3})), DnsQueryOutcome::kAnswered);
  const auto answer = b.take<DnsAnswer>();
  const auto view = DnsView::parse(answer.message).value();
  EXPECT_EQ(view.header().rcode, DnsRcode::kServFail);
  EXPECT_EQ(view.header().id, 3);
  EXPECT_TRUE(view.question().has_value());
}

TEST(DnsRelay, EqualQuestionsShareOneAttempt) {
  Bench b;
  const Endpoint other{kClient.address, {40'001}};
  EXPECT_EQ(b.query(make_query("example.com", {.id = 1})), DnsQueryOutcome::kForwarded);
  EXPECT_EQ(b.query(make_query("example.com", {.id = 1})), DnsQueryOutcome::kRepeated);
  EXPECT_EQ(b.query(make_query("Example.Com", {.id = 2}), other), DnsQueryOutcome::kForwarded);
  EXPECT_EQ(b.relay.pending(), 1u);
  const auto open = b.take<OpenDnsUdp>();
  b.answer_udp(open.slot, make_answer(open.message, {.records = {{"192.0.2.80"}}}));
  const auto first = b.take<DnsAnswer>();
  const auto second = b.take<DnsAnswer>();
  EXPECT_EQ(DnsView::parse(first.message)->header().id, 1);
  EXPECT_EQ(second.client.endpoint, other);
  EXPECT_EQ(DnsView::parse(second.message)->header().id, 2);
  EXPECT_EQ(second.message[13], 'E');
}

// Who comes too late is told so at once: a resolver library waits five seconds for silence.
TEST(DnsRelay, PendingQuestionsAndClientsAreBounded) {
  Bench b({kFirst},
          {.pending_max = 4, .clients_per_question_max = 2, .clients_max = 6, .cache = {}});
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(b.query(make_query("host" + std::to_string(i) + ".example")),
              DnsQueryOutcome::kForwarded);
  }
  b.actions.clear();
  EXPECT_EQ(b.query(make_query("one-more.example", {.id = 9})), DnsQueryOutcome::kTooMany);
  EXPECT_EQ(b.take_rcode(), DnsRcode::kServFail);
  EXPECT_EQ(b.query(make_query("host0.example", {.id = 2})), DnsQueryOutcome::kForwarded);
  EXPECT_TRUE(b.actions.empty());
  EXPECT_EQ(b.query(make_query("host0.example", {.id = 3})), DnsQueryOutcome::kTooMany);
  EXPECT_EQ(b.take_rcode(), DnsRcode::kServFail);
  EXPECT_EQ(b.query(make_query("host1.example", {.id = 2})), DnsQueryOutcome::kForwarded);
  EXPECT_EQ(b.relay.clients(), 6u);
  EXPECT_EQ(b.query(make_query("host2.example", {.id = 2})), DnsQueryOutcome::kTooMany);
  EXPECT_EQ(b.take_rcode(), DnsRcode::kServFail);
  EXPECT_EQ(b.relay.pending(), 4u);
  for (int i = 0; i < 100 && b.relay.pending() > 0; ++i) b.timer_at(b.relay.next_deadline());
  EXPECT_EQ(b.relay.pending(), 0u);
  EXPECT_EQ(b.relay.clients(), 0u);
  EXPECT_EQ(b.query(make_query("one-more.example")), DnsQueryOutcome::kForwarded);
}

TEST(DnsRelay, ParallelBuildReachesNoBound) {
  Bench b;
  for (std::uint16_t i = 0; i < 500; ++i) {
    const Endpoint program{kClient.address, {static_cast<std::uint16_t>(10'000 + i)}};
    EXPECT_EQ(b.query(make_query("example.com", {.id = i}), program), DnsQueryOutcome::kForwarded);
  }
  EXPECT_EQ(b.relay.pending(), 1u);
  const auto open = b.take<OpenDnsUdp>();
  for (int i = 0; i < 4000; ++i) {
    EXPECT_EQ(b.query(make_query("host" + std::to_string(i) + ".example")),
              DnsQueryOutcome::kForwarded);
  }
  b.actions.clear();
  b.answer_udp(open.slot, make_answer(open.message, {.records = {{"192.0.2.80"}}}));
  EXPECT_EQ(b.actions.size(), 501u);
}

TEST(DnsRelay, MalformedQueries) {
  Bench b;
  const Bytes query = make_query("example.com");
  for (std::size_t n = 0; n < 12; ++n) {
    EXPECT_EQ(b.query(Bytes(query.begin(), query.begin() + static_cast<std::ptrdiff_t>(n))),
              DnsQueryOutcome::kMalformed);
  }
  EXPECT_TRUE(b.actions.empty());
  // An answer is never answered.
  EXPECT_EQ(b.query(make_answer(query, {.records = {{"192.0.2.1"}}})), DnsQueryOutcome::kMalformed);
  EXPECT_TRUE(b.actions.empty());
  EXPECT_EQ(b.query(Bytes(5000, 0)), DnsQueryOutcome::kMalformed);
  EXPECT_TRUE(b.actions.empty());
  // Cut in the question, no question, two questions: FORMERR.
  Bytes cut = query;
  cut.pop_back();
  EXPECT_EQ(b.query(cut), DnsQueryOutcome::kFormError);
  EXPECT_EQ(b.take_rcode(), DnsRcode::kFormErr);
  Bytes none(query.begin(), query.begin() + 12);
  none[5] = 0;
  EXPECT_EQ(b.query(none), DnsQueryOutcome::kFormError);
  EXPECT_EQ(b.take_rcode(), DnsRcode::kFormErr);
  Bytes two = query;
  two[5] = 2;
  two.insert(two.end(), query.begin() + 12, query.end());
  EXPECT_EQ(b.query(two), DnsQueryOutcome::kFormError);
  EXPECT_EQ(b.take_rcode(), DnsRcode::kFormErr);
  // A name that points into the header.
  Bytes pointer(query.begin(), query.begin() + 12);
  pointer.insert(pointer.end(), {0xc0, 0x04, 0, 1, 0, 1});
  EXPECT_EQ(b.query(pointer), DnsQueryOutcome::kFormError);
  EXPECT_EQ(b.take_rcode(), DnsRcode::kFormErr);
  // NOTIFY and others are not ours to relay.
  Bytes notify = query;
  notify[2] = 0x20;
  EXPECT_EQ(b.query(notify), DnsQueryOutcome::kAnswered);
  EXPECT_EQ(b.take_rcode(), DnsRcode::kNotImp);
  EXPECT_EQ(b.relay.pending(), 0u);
}

TEST(DnsRelay, EdnsOptionsStayWithTheGuest) {
  Bench b;
  const Bytes cookie{0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8};
  (void)b.query(make_query("example.com", {.edns_size = 1232, .edns_options = cookie}));
  const auto open = b.take<OpenDnsUdp>();
  EXPECT_EQ(open.message.size(), make_query("example.com", {.edns_size = 1232}).size());
  const auto traits = read_dns_query(DnsView::parse(open.message).value());
  ASSERT_TRUE(traits.has_value());
  EXPECT_TRUE(traits->edns);
  EXPECT_EQ(traits->udp_payload_size, 1232);
  // So another client's cookie does not keep the answer from being shared.
  b.answer_udp(open.slot, make_answer(open.message, {.records = {{"192.0.2.80"}}}));
  b.actions.clear();
  EXPECT_EQ(b.query(make_query("example.com", {.edns_size = 1232})), DnsQueryOutcome::kAnswered);
}

// RFC 1035, 4.1.1: a server that cannot read a query answers with a header alone.
TEST(DnsRelay, BareRefusalIsAnAnswer) {
  const auto bare = [](const Bytes& query, std::uint8_t rcode) {
    Bytes message(query.begin(), query.begin() + 12);
    message[2] |= 0x80;
    message[3] = rcode;
    message[5] = 0;
    message[11] = 0;
    return message;
  };
  Bench b;
  (void)b.query(make_query("example.com", {.id = 0x77, .edns_size = 1232}));
  const auto first = b.take<OpenDnsUdp>();
  b.answer_udp(first.slot, bare(first.message, 1));
  (void)b.take<CloseDns>();
  const auto second = b.take<OpenDnsUdp>();
  EXPECT_EQ(second.resolver, kSecond);
  // Only with our id, and nothing that could be taken for more.
  b.answer_udp(second.slot, bare(first.message, 1));
  b.answer_udp(second.slot, bare(second.message, 0));
  b.answer_udp(second.slot, bare(second.message, 3));
  EXPECT_TRUE(b.actions.empty());
  EXPECT_EQ(b.relay.rejected_answers(), 3u);
  b.answer_udp(second.slot, bare(second.message, 1));
  const auto answer = b.take<DnsAnswer>();
  const auto view = DnsView::parse(answer.message).value();
  EXPECT_EQ(view.header().rcode, DnsRcode::kFormErr);
  EXPECT_EQ(view.header().id, 0x77);
  ASSERT_TRUE(view.question().has_value());
  EXPECT_EQ(b.relay.pending(), 0u);
}

TEST(DnsRelay, OtherResolversMeanOtherAnswers) {
  Bench b({kFirst});
  (void)b.query(make_query("vpn.example"));
  const auto open = b.take<OpenDnsUdp>();
  b.answer_udp(open.slot, make_answer(open.message, {.rcode = DnsRcode::kNxDomain,
                                                     .soa = true,
                                                     .soa_ttl = 9000,
                                                     .soa_minimum = 9000}));
  b.actions.clear();
  b.relay.set_resolvers({kFirst});  // The same ones: nothing to forget.
  EXPECT_EQ(b.query(make_query("vpn.example")), DnsQueryOutcome::kAnswered);
  (void)b.query(make_query("late.example"));
  b.actions.erase(b.actions.begin());
  const auto late = b.take<OpenDnsUdp>();
  b.relay.set_resolvers({kSecond});
  EXPECT_EQ(b.query(make_query("vpn.example")), DnsQueryOutcome::kForwarded);
  EXPECT_EQ(b.take<OpenDnsUdp>().resolver, kSecond);
  // Nor does a question of now wait for an answer of then, or find it in the cache.
  EXPECT_EQ(b.query(make_query("late.example", {.id = 2})), DnsQueryOutcome::kForwarded);
  EXPECT_EQ(b.take<OpenDnsUdp>().resolver, kSecond);
  b.answer_udp(late.slot, make_answer(late.message, {.records = {{"192.0.2.1", 300}}}));
  b.actions.clear();
  EXPECT_EQ(b.relay.cache().entries(), 0u);
}

TEST(DnsRelay, StreamClientsGetWholeAnswers) {
  Bench b;
  const DnsClient stream{.endpoint = {}, .asked = {}, .stream = {SlabHandle{3, 1}}};
  EXPECT_EQ(b.relay.on_query(stream, make_query("big.example"), b.now, b.actions),
            DnsQueryOutcome::kForwarded);
  EXPECT_EQ(b.query(make_query("big.example")), DnsQueryOutcome::kForwarded);
  const auto udp = b.take<OpenDnsUdp>();
  b.answer_udp(udp.slot, make_answer(udp.message, {.truncated = true}));
  (void)b.take<CloseDns>();
  const auto tcp = b.take<OpenDnsTcp>();
  const Bytes whole = make_answer(tcp.message, {.records = {{"192.0.2.1"}}, .padding = 15'000});
  b.relay.on_upstream_tcp(tcp.slot, whole, b.now, b.actions);
  const auto to_stream = b.take<DnsAnswer>();
  EXPECT_EQ(to_stream.client, stream);
  EXPECT_EQ(to_stream.message.size(), whole.size());
  EXPECT_TRUE(DnsView::parse(b.take<DnsAnswer>().message)->header().truncated);
  b.actions.clear();
  // From the cache too; and where TCP fails nobody is sent to TCP who is there.
  (void)b.relay.on_query(stream, make_query("big.example"), b.now, b.actions);
  EXPECT_EQ(b.take<DnsAnswer>().message.size(), whole.size());
  (void)b.relay.on_query(stream, make_query("other.example"), b.now, b.actions);
  const auto other = b.take<OpenDnsUdp>();
  b.answer_udp(other.slot, make_answer(other.message, {.truncated = true}));
  for (int i = 0; i < 2; ++i) {
    (void)b.take<CloseDns>();
    b.relay.on_upstream_error(b.take<OpenDnsTcp>().slot, b.now, b.actions);
  }
  EXPECT_EQ(b.take_rcode(), DnsRcode::kServFail);
}

TEST(DnsRelay, WhereUdpIsNotToBeUsedTcpIsAskedFirst) {
  Bench b;
  b.relay.set_resolvers({kFirst, kSecond}, DnsUpstream::kTcpOnly);
  (void)b.query(make_query("example.com"));
  const auto first = b.take<OpenDnsTcp>();
  EXPECT_EQ(first.resolver, kFirst);
  b.relay.on_upstream_error(first.slot, b.now, b.actions);
  (void)b.take<CloseDns>();
  const auto second = b.take<OpenDnsTcp>();
  EXPECT_EQ(second.resolver, kSecond);
  b.relay.on_upstream_tcp(second.slot, make_answer(second.message, {.records = {{"192.0.2.80"}}}),
                          b.now, b.actions);
  EXPECT_EQ(b.take_rcode(), DnsRcode::kNoError);
}

TEST(DnsRelay, ResolversMayChangeUnderWay) {
  Bench b;
  (void)b.query(make_query("example.com"));
  const auto open = b.take<OpenDnsUdp>();
  b.relay.set_resolvers({});
  // The attempt under way still counts.
  (void)b.query(make_query("none.example"));
  EXPECT_EQ(b.take_rcode(), DnsRcode::kServFail);
  b.answer_udp(open.slot, make_answer(open.message, {.records = {{"192.0.2.80"}}}));
  EXPECT_EQ(b.take_rcode(), DnsRcode::kNoError);
  b.actions.clear();
  b.relay.set_resolvers({kSecond});
  (void)b.query(make_query("second.example"));
  const auto second = b.take<OpenDnsUdp>();
  EXPECT_EQ(second.resolver, kSecond);
  b.relay.set_resolvers({});
  b.relay.on_upstream_error(second.slot, b.now, b.actions);
  EXPECT_EQ(b.take_rcode(), DnsRcode::kServFail);
  b.relay.set_resolvers({kFirst, kSecond});
  b.actions.clear();
  (void)b.query(make_query("third.example"));
  const auto third = b.take<OpenDnsUdp>();
  b.relay.set_resolvers({});
  b.answer_udp(third.slot, make_answer(third.message, {.truncated = true}));
  EXPECT_TRUE(DnsView::parse(b.take<DnsAnswer>().message)->header().truncated);
  EXPECT_EQ(b.relay.pending(), 0u);
}

}  // namespace
}  // namespace sluice::dns
