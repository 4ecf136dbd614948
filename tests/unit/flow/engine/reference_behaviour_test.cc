// What users of any user-mode network rely on, subject by subject, through the whole engine.
#include <gtest/gtest.h>

#include "unit/dns/dns_messages.h"
#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {

using namespace dns::test;

namespace {

using wire::IpProtocol;

class ReferenceBehaviour : public TcpFixture {
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

TEST_F(ReferenceBehaviour, tcp_handshake_emits_synack) {
  feed(syn({}));
  EXPECT_TRUE(frames.empty());  // Not before the host has connected.
  const auto connect = take<ConnectTcp>();
  EXPECT_EQ(connect.target, kServer);
  tcp().on_connected(connect.flow, 64 * 1024, {now, sink});
  collect();
  const Received reply = take_frame();
  EXPECT_EQ(reply.packet().source, kServer.address);
  EXPECT_EQ(reply.packet().destination, kGuest.address);
  EXPECT_EQ(reply.tcp().source_port(), kServer.port);
  EXPECT_EQ(reply.tcp().destination_port(), kGuest.port);
  EXPECT_EQ(reply.tcp().flags(), wire::kSyn | wire::kAck);
  EXPECT_EQ(reply.tcp().acknowledgment(), wire::SeqNum{1000});
  EXPECT_TRUE(reply.tcp().checksum_ok(kServer.address, kGuest.address));
}

TEST_F(ReferenceBehaviour, tcp_data_round_trip) {
  Connection c = establish();
  feed(data(c, 0, 100));
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].bytes, stream(0, 100));
  EXPECT_TRUE(frames.empty());  // The ACK follows what the host takes.
  c.next += 100;
  host_takes(c, 100);
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);

  host_sends(c, stream(0, 50));
  const Received reply = take_frame();
  const ByteView payload = reply.tcp().payload();
  EXPECT_EQ(Bytes(payload.begin(), payload.end()), stream(0, 50));
  feed(ack(c));
  EXPECT_EQ(take<DiscardTcp>().bytes, 50u);
}

TEST_F(ReferenceBehaviour, tcp_writes_more_than_256kb_succeed) {
  Connection c = establish();
  constexpr std::size_t kTotal = 300 * 1024;
  std::uint64_t written = 0;
  while (c.sent < kTotal) {
    // A burst of ten segments is one write and one ACK.
    clear();
    const std::uint64_t before = c.sent;
    for (int i = 0; i < 10; ++i) {
      frame(tcp_frame(network(), data(c, c.sent, 1024)));
      c.next += 1024;
      c.sent += 1024;
    }
    end_burst();
    ASSERT_EQ(writes.size(), 1u);
    EXPECT_EQ(writes[0].action.offset, before);
    EXPECT_EQ(writes[0].bytes, stream(before, 10 * 1024));
    written += writes[0].bytes.size();
    host_takes(c, 10 * 1024);
    EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);
  }
  EXPECT_EQ(written, kTotal);
}

TEST_F(ReferenceBehaviour, tcp_rate_limit_emits_rst) {
  restart({.limits = {.max_flows = 1000, .new_flows_per_second = 3}});
  for (std::uint16_t i = 0; i < 3; ++i) {
    feed(syn({.guest = {kGuest.address, wire::Port{static_cast<std::uint16_t>(1000 + i)}}}));
  }
  EXPECT_EQ(all<ConnectTcp>().size(), 3u);
  EXPECT_TRUE(frames.empty());
  feed(syn({}));
  const Received reply = take_frame();
  EXPECT_EQ(reply.tcp().flags(), wire::kRst | wire::kAck);
  EXPECT_EQ(reply.tcp().sequence(), wire::SeqNum{0});
  EXPECT_EQ(reply.tcp().acknowledgment(), wire::SeqNum{1000});
  EXPECT_EQ(drops(DropReason::kTooManyNewFlows), 1u);
  pass(2s);
  actions.clear();
  feed(syn({}));
  EXPECT_EQ(all<ConnectTcp>().size(), 1u);
}

TEST_F(ReferenceBehaviour, tcp_max_concurrent_emits_rst) {
  restart({.limits = {.max_flows = 2}});
  for (std::uint16_t i = 0; i < 2; ++i) {
    feed(syn({.guest = {kGuest.address, wire::Port{static_cast<std::uint16_t>(1000 + i)}}}));
  }
  const TcpId first = all<ConnectTcp>().at(0).flow;
  clear();
  feed(syn({}));
  EXPECT_TRUE(take_frame().tcp().flags().rst());
  EXPECT_EQ(drops(DropReason::kTooManyFlows), 1u);
  EXPECT_EQ(engine().flow_count(), 2u);
  // Room again once one has ended.
  tcp().on_connect_failed(first, HostError::kRefused, {now, sink});
  collect();
  clear();
  feed(syn({}));
  EXPECT_EQ(all<ConnectTcp>().size(), 1u);
}

TEST_F(ReferenceBehaviour, tcp_deny_list_emits_rst) {
  feed(syn({.remote = endpoint("169.254.169.254:80")}));
  EXPECT_EQ(take_frame().tcp().flags(), wire::kRst | wire::kAck);
  EXPECT_TRUE(all<ConnectTcp>().empty());
  EXPECT_EQ(drops(DropReason::kDeniedByPolicy), 1u);
  EXPECT_EQ(take<ReportFlow>().summary.verdict, policy::Verdict::kDeniedByPolicy);
}

TEST_F(ReferenceBehaviour, arp_replies_for_gateway) {
  feed(arp_request(network(), network().gateway_v4));
  const wire::ArpRepr reply = take_frame().arp();
  EXPECT_EQ(reply.operation, wire::ArpOperation::kReply);
  EXPECT_EQ(reply.sender_ip, network().gateway_v4);
  EXPECT_EQ(reply.sender_mac, network().gateway_mac);
}

TEST_F(ReferenceBehaviour, arp_replies_for_random_subnet_ip) {
  feed(arp_request(network(), ip("10.0.2.77")));
  EXPECT_EQ(take_frame().arp().sender_ip, ip("10.0.2.77"));
}

TEST_F(ReferenceBehaviour, arp_does_not_reply_for_guest_ip) {
  feed(arp_request(network(), network().guest_v4));
  EXPECT_TRUE(frames.empty());
}

TEST_F(ReferenceBehaviour, dns_query_resolves) {
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

TEST_F(ReferenceBehaviour, dns_cache_keys_by_question_not_xid) {
  engine().set_resolvers({resolver_});
  const auto open = ask(make_query("example.com", {.id = 0x1111}));
  ASSERT_TRUE(open.has_value());
  answer(*open);
  EXPECT_FALSE(ask(make_query("example.com", {.id = 0x2222})).has_value());
  const Received reply = take_frame();
  EXPECT_EQ(wire::DnsView::parse(reply.udp().payload())->header().id, 0x2222);
  EXPECT_TRUE(ask(make_query("example.org", {.id = 0x2222})).has_value());
}

TEST_F(ReferenceBehaviour, udp_non_dns_round_trips) {
  const wire::Endpoint remote = endpoint("198.51.100.7:4000");
  feed(udp_frame(network(), kGuest, remote, stream(0, 300)));
  const auto open = all<OpenUdp>();
  ASSERT_EQ(open.size(), 1u);
  ASSERT_EQ(datagrams.size(), 1u);
  EXPECT_EQ(datagrams[0].action.target, remote);
  EXPECT_EQ(datagrams[0].bytes, stream(0, 300));
  const Bytes reply = stream(7, 200);
  engine().udp().on_received(open[0].socket, {remote, std::nullopt, reply, 0}, {now, sink});
  collect();
  const Received received = take_frame();
  EXPECT_EQ(received.packet().source, remote.address);
  EXPECT_EQ(received.udp().source_port(), remote.port);
  EXPECT_EQ(received.udp().destination_port(), kGuest.port);
  const ByteView payload = received.udp().payload();
  EXPECT_EQ(Bytes(payload.begin(), payload.end()), reply);
  EXPECT_TRUE(received.udp().checksum_ok(remote.address, kGuest.address));
}

TEST_F(ReferenceBehaviour, icmp_echo_returns_reply) {
  feed(ping_frame(network(), ip("198.51.100.7"), 77, 3, stream(0, 56)));
  const auto open = all<OpenPing>();
  ASSERT_EQ(open.size(), 1u);
  ASSERT_EQ(pings.size(), 1u);
  // The host's kernel puts an identifier of its own on the wire.
  Bytes reply = echo_message(wire::IcmpType::kEchoReply, 12'345, 3, stream(0, 56));
  engine().ping().on_reply(open[0].socket, ip("198.51.100.7"), reply, {now, sink});
  collect();
  const Received received = take_frame();
  EXPECT_EQ(received.icmp().type(), wire::IcmpType::kEchoReply);
  EXPECT_EQ(received.icmp().identifier(), 77);
  EXPECT_EQ(received.icmp().sequence_number(), 3);
  EXPECT_TRUE(received.icmp().checksum_ok());

  // The gateway answers by itself.
  feed(ping_frame(network(), network().gateway_v4, 78, 1, stream(0, 56)));
  EXPECT_EQ(take_frame().icmp().type(), wire::IcmpType::kEchoReply);
}

TEST_F(ReferenceBehaviour, nat_translate_outbound_loopback_rewrite) {
  const wire::Endpoint gateway{network().gateway_v4, {8080}};
  feed(syn({.remote = gateway}));  // Not unless asked for.
  EXPECT_TRUE(take_frame().tcp().flags().rst());
  EXPECT_TRUE(all<ConnectTcp>().empty());

  restart({.host_loopback = true});
  feed(syn({.remote = gateway}));
  EXPECT_EQ(take<ConnectTcp>().target, endpoint("127.0.0.1:8080"));
}

TEST_F(ReferenceBehaviour, nat_translate_outbound_unmodified_external_ip) {
  feed(syn({.remote = endpoint("203.0.113.9:443")}));
  EXPECT_EQ(take<ConnectTcp>().target, endpoint("203.0.113.9:443"));
}

TEST_F(ReferenceBehaviour, nat_translate_outbound_deny_list) {
  const std::vector<policy::Rule> deny{policy::parse_rule("203.0.113.0/24").value()};
  restart({.policy = policy::Policy(deny, {})});
  feed(syn({.remote = endpoint("203.0.113.9:443")}));
  EXPECT_TRUE(take_frame().tcp().flags().rst());
  feed(udp_frame(network(), kGuest, endpoint("203.0.113.9:443"), {1}));
  EXPECT_EQ(take_frame().icmp().type(), wire::IcmpType::kDestinationUnreachable);
  feed(syn({.remote = endpoint("203.0.114.9:443")}));
  EXPECT_EQ(take<ConnectTcp>().target, endpoint("203.0.114.9:443"));
}

TEST_F(ReferenceBehaviour, tcp_port_forward_inbound_connect_succeeds) {
  const wire::Endpoint service{network().guest_v4, {80}};
  const wire::Endpoint client = endpoint("192.0.2.1:51000");
  const auto id = tcp().on_inbound(client, service, 64 * 1024, {now, sink});
  ASSERT_TRUE(id.has_value());
  collect();
  const Received knock = take_frame();
  EXPECT_EQ(knock.tcp().flags(), wire::kSyn);
  EXPECT_EQ(knock.packet().source, client.address);
  Connection c{.id = *id,
               .guest = service,
               .remote = client,
               .next = wire::SeqNum{5000},
               .host_next = knock.tcp().sequence() + 1};
  GuestSegment reply = ack(c);
  reply.flags = wire::kSyn | wire::kAck;
  reply.options = {.mss = 1460, .window_scale = 7};
  feed(reply);
  c.next += 1;
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);

  host_sends(c, stream(0, 20));
  EXPECT_EQ(take_frame().tcp().payload().size(), 20u);
  feed(data(c, 0, 30));
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].bytes, stream(0, 30));
}

// Events name flows by handles: readiness reaches the flow that it is about, and a flow that is
// gone is no one else.
TEST_F(ReferenceBehaviour, epoll_set_rebuilt_from_flow_table_smoke) {
  Connection a = establish();
  Connection b = establish({.guest = endpoint("10.0.2.15:40001")});
  for (Connection* c : {&b, &a}) {
    clear();
    host_sends(*c, stream(0, 10));
    EXPECT_EQ(take_frame().tcp().destination_port(), c->guest.port);
  }
  feed(rst(a));
  EXPECT_EQ(engine().flow_count(), 1u);
  Connection reused = establish({.guest = endpoint("10.0.2.15:40002")});
  EXPECT_EQ(reused.id.index, a.id.index);
  clear();
  tcp().on_readable(a.id, false, {now, sink});  // Late news of the flow that is gone.
  collect();
  EXPECT_TRUE(actions.empty());
  host_sends(b, stream(10, 10));
  EXPECT_EQ(take_frame().tcp().destination_port(), b.guest.port);
}

TEST_F(ReferenceBehaviour, tcp_half_close_guest_writes_first) {
  Connection c = establish();
  send(c, 10);
  clear();
  feed(fin(c));
  c.next += 1;
  EXPECT_EQ(all<ShutdownTcp>().size(), 1u);
  EXPECT_TRUE(all<CloseTcp>().empty());
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);
  // The host still answers, then ends.
  host_sends(c, stream(0, 40));
  EXPECT_EQ(take_frame().tcp().payload().size(), 40u);
  host_ends(c);
  EXPECT_TRUE(take_frame().tcp().flags().fin());
  feed(ack(c));
  EXPECT_EQ(all<CloseTcp>().size(), 1u);
  EXPECT_FALSE(take<CloseTcp>().reset);
  pass(2s);
  EXPECT_EQ(engine().flow_count(), 0u);
}

TEST_F(ReferenceBehaviour, tcp_half_close_host_writes_first) {
  Connection c = establish();
  host_sends(c, stream(0, 40));
  host_ends(c);
  EXPECT_TRUE(frames.back().tcp().flags().fin());
  clear();
  feed(ack(c));
  EXPECT_TRUE(all<CloseTcp>().empty());
  // The guest still writes, then ends.
  send(c, 25);
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].bytes, stream(0, 25));
  clear();
  feed(fin(c));
  EXPECT_EQ(all<ShutdownTcp>().size(), 1u);
  EXPECT_EQ(all<CloseTcp>().size(), 1u);
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next + 1);
}

TEST_F(ReferenceBehaviour, tcp_last_ack_timeout_reaps_stale_entry) {
  Connection c = establish();
  feed(fin(c));
  host_ends(c);
  clear();
  pass(59s);  // The guest never acknowledges our FIN.
  EXPECT_EQ(engine().flow_count(), 1u);
  EXPECT_FALSE(frames.empty());
  for (const Received& again : frames) EXPECT_TRUE(again.tcp().flags().fin());
  pass(3s);
  EXPECT_EQ(engine().flow_count(), 0u);
  EXPECT_EQ(engine().limits().active(), 0u);
}

TEST_F(ReferenceBehaviour, tcp_connect_to_unreachable_does_not_block_other_flows) {
  feed(syn({.guest = endpoint("10.0.2.15:41000"), .remote = endpoint("203.0.113.9:1")}));
  clear();
  Connection c = establish();
  send(c, 10);
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].bytes, stream(0, 10));
  EXPECT_EQ(engine().flow_count(), 2u);
}

TEST_F(ReferenceBehaviour, tcp_connect_async_eventual_rst_on_failure) {
  feed(syn({}));
  const TcpId id = take<ConnectTcp>().flow;
  pass(2s);
  EXPECT_TRUE(frames.empty());
  tcp().on_connect_failed(id, HostError::kRefused, {now, sink});
  collect();
  const Received reply = take_frame();
  EXPECT_EQ(reply.tcp().flags(), wire::kRst | wire::kAck);
  EXPECT_EQ(reply.tcp().acknowledgment(), wire::SeqNum{1000});
  EXPECT_EQ(engine().flow_count(), 0u);
  EXPECT_EQ(take<ReportFlow>().summary.outcome, policy::Outcome::kRefused);
}

TEST_F(ReferenceBehaviour, tcp_window_scale_negotiated_in_synack) {
  (void)connect();
  const auto options = wire::parse_tcp_options(frames.back().tcp().options());
  EXPECT_EQ(options.window_scale, TcpFlows::kWindowScale);
  EXPECT_EQ(options.mss, 1460);
}

TEST_F(ReferenceBehaviour, tcp_advertised_window_tracks_guest_buffer) {
  // Host to guest: never more in flight than the guest's window.
  Connection c = establish({.window = 1000, .options = {.mss = 1460}});
  tcp().on_readable(c.id, false, {now, sink});
  collect();
  EXPECT_EQ(all<PeekTcp>().at(0).max, 1000u);
  answer_peek(c, stream(0, 1000), true);
  ASSERT_TRUE(engine().has_deferred());
  engine().run_deferred({now, sink});
  collect();
  EXPECT_TRUE(all<PeekTcp>().empty());
  c.window = 3000;
  feed(ack(c));
  EXPECT_EQ(all<PeekTcp>().at(0).max, 3000u);

  // Guest to host: what waits for the host leaves the window.
  clear();
  feed(data(c, 0, 1000));
  tcp().on_written(c.id, {1000, 0, 60'000}, {now, sink});
  collect();
  const std::uint16_t wide = frames.back().tcp().window();
  c.next += 1000;
  c.sent += 1000;
  feed(data(c, 1000, 1000));
  tcp().on_written(c.id, {1000, 1000, 0}, {now, sink});
  collect();
  EXPECT_LE(frames.back().tcp().window(), wide);
}

}  // namespace
}  // namespace sluice::flow::test
