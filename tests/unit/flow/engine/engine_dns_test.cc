// The relay of DNS as the guest meets it, through the whole engine.
#include <gtest/gtest.h>

#include "unit/dns/dns_messages.h"
#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {

using namespace dns::test;

namespace {

class EngineDns : public TcpFixture {
 protected:
  const wire::Endpoint dns_{network().dns_v4, {53}};
  const wire::Endpoint resolver_ = endpoint("192.0.2.53:53");

  // Sends a query; returns what is to be asked upstream, if anything.
  std::optional<dns::OpenDnsUdp> ask(const Bytes& query) {
    frames.clear();
    feed(udp_frame(network(), kGuest, dns_, query));
    std::optional<dns::OpenDnsUdp> open;
    for (const dns::DnsAction& action : engine().dns_actions()) {
      if (const auto* udp = std::get_if<dns::OpenDnsUdp>(&action)) open = *udp;
    }
    engine().dns_actions().clear();
    return open;
  }
  void answer(const dns::OpenDnsUdp& open) {
    engine().on_dns_answer(open.slot, Engine::DnsTransport::kUdp,
                           make_answer(open.message, {.records = {{"192.0.2.80"}}}), {now, sink});
    collect();
  }
};

TEST_F(EngineDns, AnsweredByTheResolver) {
  engine().set_resolvers({resolver_});
  const auto open = ask(make_query("example.com", {.id = 0x4242}));
  ASSERT_TRUE(open.has_value());
  EXPECT_EQ(open->resolver, resolver_);
  EXPECT_TRUE(frames.empty());
  answer(*open);
  const Received reply = take_frame();
  EXPECT_EQ(reply.packet().source, network().dns_v4);
  EXPECT_EQ(reply.udp().destination_port(), kGuest.port);
  EXPECT_TRUE(reply.udp().checksum_ok(network().dns_v4, kGuest.address));
  const auto view = wire::DnsView::parse(reply.udp().payload()).value();
  EXPECT_EQ(view.header().id, 0x4242);
  EXPECT_TRUE(view.header().response);
  EXPECT_EQ(engine().name_of(ip("192.0.2.80")), "example.com");
}

TEST_F(EngineDns, CacheGoesByTheQuestion) {
  engine().set_resolvers({resolver_});
  const auto open = ask(make_query("example.com", {.id = 0x1111}));
  ASSERT_TRUE(open.has_value());
  answer(*open);
  EXPECT_FALSE(ask(make_query("example.com", {.id = 0x2222})).has_value());
  const Received reply = take_frame();
  EXPECT_EQ(wire::DnsView::parse(reply.udp().payload())->header().id, 0x2222);
  EXPECT_TRUE(ask(make_query("example.org", {.id = 0x2222})).has_value());
}

TEST_F(EngineDns, AskedWithoutWaiting) {
  engine().set_resolvers({endpoint("192.0.2.53:53")});
  feed(udp_frame(network(), kGuest, {network().dns_v4, {53}}, make_query("example.com")));
  EXPECT_EQ(engine().dns_actions().size(), 1u);
  Connection c = establish();  // Other flows go on meanwhile.
  send(c, 10);
  EXPECT_EQ(writes.size(), 1u);
}

TEST_F(EngineDns, AnswersMustFitTheQuestion) {
  engine().set_resolvers({endpoint("192.0.2.53:53")});
  feed(udp_frame(network(), kGuest, {network().dns_v4, {53}}, make_query("example.com")));
  ASSERT_EQ(engine().dns_actions().size(), 1u);
  const auto open = std::get<dns::OpenDnsUdp>(engine().dns_actions()[0]);
  engine().dns_actions().clear();
  const auto deliver = [&](const Bytes& message) {
    engine().on_dns_answer(open.slot, Engine::DnsTransport::kUdp, message, {now, sink});
    collect();
  };
  Bytes wrong_id = make_answer(open.message, {.records = {{"192.0.2.66"}}});
  wrong_id[0] = static_cast<std::uint8_t>(wrong_id[0] ^ 1);
  deliver(wrong_id);
  const std::uint16_t id = wire::DnsView::parse(open.message)->header().id;
  deliver(make_answer(make_query("evil.example", {.id = id}), {.records = {{"192.0.2.66"}}}));
  EXPECT_TRUE(frames.empty());
  // From another slot, that is from a source that was not asked.
  engine().on_dns_answer({open.slot.value + 1}, Engine::DnsTransport::kUdp,
                         make_answer(open.message, {.records = {{"192.0.2.66"}}}), {now, sink});
  collect();
  EXPECT_TRUE(frames.empty());
  deliver(make_answer(open.message, {.records = {{"192.0.2.80"}}}));
  EXPECT_EQ(frames.size(), 1u);
}

TEST_F(EngineDns, TtlOfTheRecordCounts) {
  engine().set_resolvers({endpoint("192.0.2.53:53")});
  const auto ask = [&] {
    feed(udp_frame(network(), kGuest, {network().dns_v4, {53}}, make_query("example.com")));
  };
  ask();
  ASSERT_EQ(engine().dns_actions().size(), 1u);
  const auto open = std::get<dns::OpenDnsUdp>(engine().dns_actions()[0]);
  engine().dns_actions().clear();
  engine().on_dns_answer(open.slot, Engine::DnsTransport::kUdp,
                         make_answer(open.message, {.records = {{"192.0.2.80", 10}}}), {now, sink});
  collect();
  engine().dns_actions().clear();
  clear();
  pass(4s);
  ask();
  EXPECT_TRUE(engine().dns_actions().empty());
  EXPECT_EQ(first_ttl(take_frame().udp().payload()), 6u);
  pass(7s);
  ask();
  EXPECT_EQ(engine().dns_actions().size(), 1u);
}

// The bound itself is tested in DnsCache.EntriesAndBytesAreBounded; here, that the engine has one.
TEST_F(EngineDns, QuestionsAreBounded) {
  engine().set_resolvers({endpoint("192.0.2.53:53")});
  const std::size_t most = dns::DnsRelayLimits{}.pending_max;
  for (std::size_t i = 0; i < most + 10; ++i) {
    feed(udp_frame(network(), kGuest, {network().dns_v4, {53}},
                   make_query("host" + std::to_string(i) + ".example")));
  }
  EXPECT_EQ(engine().dns_actions().size(), most);
  EXPECT_EQ(drops(DropReason::kDnsTooMany), 10u);
  // They are told, and so need not wait for silence.
  EXPECT_EQ(frames.size(), 10u);
  const auto refusal = wire::DnsView::parse(frames.back().udp().payload()).value();
  EXPECT_EQ(refusal.header().rcode, wire::DnsRcode::kServFail);
}

}  // namespace
}  // namespace sluice::flow::test
