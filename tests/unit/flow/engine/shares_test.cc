// An engine that has a part of its guest's flows, as others have the rest.
#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

class SharesTest : public EngineFixture {
 protected:
  static constexpr std::uint32_t kWorkers = 4;

  void restart_as(std::uint32_t worker, policy::SharedLimits* limits = nullptr) {
    EngineOptions options;
    options.host_loopback = true;
    options.share = {owner, worker};
    options.shared_limits = limits;
    restart(std::move(options));
  }
  // A port of the guest's whose datagrams `worker` has.
  [[nodiscard]] wire::Port port_of(std::uint32_t worker) const {
    wire::Port port{1024};
    while (owner.of_udp(port) != worker) ++port.value;
    return port;
  }
  // 1,000 bytes of a datagram, from and to such a port, as two fragments.
  void feed_fragments(const wire::IpAddress& source, const wire::IpAddress& target,
                      wire::Port port) {
    const Bytes datagram = udp_datagram({source, port}, {target, port}, stream(0, 1000));
    for (const bool last : {false, true}) {
      const std::size_t begin = last ? 504 : 0;
      const Bytes piece(datagram.begin() + static_cast<std::ptrdiff_t>(begin),
                        last ? datagram.end() : datagram.begin() + 504);
      frame(source.is_v4() ? fragment_v4(source, target, piece, last)
                           : fragment_v6(source, target, piece, last));
    }
    end_burst();
  }
  [[nodiscard]] Bytes fragment_v4(const wire::IpAddress& source, const wire::IpAddress& target,
                                  const Bytes& piece, bool last) const {
    Bytes whole = ip_frame(network(), source, target, wire::IpProtocol::kUdp, piece);
    wire::Ipv4Repr{.source = source,
                   .destination = target,
                   .protocol = wire::IpProtocol::kUdp,
                   .ttl = 17,
                   .payload_length = static_cast<std::uint16_t>(piece.size()),
                   .identification = 7,
                   .dont_fragment = false,
                   .more_fragments = !last,
                   .fragment_offset = static_cast<std::uint16_t>(last ? 504 : 0)}
        .emit(MutableBytes(whole).subspan(14).first<20>());
    return whole;
  }
  [[nodiscard]] Bytes fragment_v6(const wire::IpAddress& source, const wire::IpAddress& target,
                                  const Bytes& piece, bool last) const {
    Bytes upper(wire::kIpv6FragmentHeaderSize);
    wire::emit_ipv6_fragment(MutableBytes(upper).first<wire::kIpv6FragmentHeaderSize>(),
                             wire::IpProtocol::kUdp,
                             {.offset = last ? 504U : 0U, .more = !last, .identification = 7});
    upper.insert(upper.end(), piece.begin(), piece.end());
    return ip_frame(network(), source, target, wire::IpProtocol::kFragment, upper, 17);
  }

  FrameOwner owner{GuestNetwork(), kWorkers, {31, 32}};
};

TEST_F(SharesTest, ADatagramOfAnothersIsPassedOnAsIfItHadComeWhole) {
  restart_as(0);
  const std::pair<wire::IpAddress, wire::IpAddress> ways[] = {
      {network().guest_v4, ip("192.0.2.1")}, {network().guest_v6, ip("2001:db8::1")}};
  for (const auto& [source, target] : ways) {
    const wire::Port port = port_of(2);
    feed_fragments(source, target, port);
    EXPECT_TRUE(actions.empty());
    ASSERT_EQ(engine().foreign_frames().size(), 1U);
    const Received frame{engine().foreign_frames().front(), {}};
    engine().foreign_frames().clear();
    EXPECT_EQ(owner.of_frame(frame.bytes), 2U);
    EXPECT_EQ(frame.packet().source, source);
    EXPECT_EQ(frame.packet().destination, target);
    EXPECT_EQ(frame.packet().hop_limit, 17) << "it is its owner who is the next hop";
    EXPECT_TRUE(std::ranges::equal(frame.udp().payload(), stream(0, 1000)));
    EXPECT_TRUE(frame.udp().checksum_ok(source, target));
  }
}

TEST_F(SharesTest, ADatagramOfItsOwnIsNot) {
  restart_as(0);
  feed_fragments(network().guest_v4, ip("192.0.2.1"), port_of(0));
  EXPECT_TRUE(engine().foreign_frames().empty());
  ASSERT_EQ(datagrams.size(), 1U);
  EXPECT_EQ(datagrams[0].bytes, stream(0, 1000));
}

TEST_F(SharesTest, AClientGetsANameWhoseFramesComeHere) {
  constexpr std::uint32_t kWorker = 3;
  restart_as(kWorker);
  const wire::Endpoint service{network().guest_v4, wire::Port{80}};
  int begun = 0;
  for (std::uint16_t port = 2000; port < 2100; ++port) {
    const wire::Endpoint client{ip("127.0.0.1"), wire::Port{port}};
    if (engine().owner_of_inbound(client, service) != kWorker) continue;
    // Three clients of that port, by three addresses of the loopback.
    for (const char* const address : {"127.0.0.1", "127.0.0.2", "127.0.0.3"}) {
      clear();
      ASSERT_TRUE(tcp().on_inbound({ip(address), wire::Port{port}}, service, 65'536, {now, sink}));
      collect();
      const Received syn = take_frame();
      EXPECT_EQ(syn.packet().source, network().gateway_v4);
      EXPECT_EQ(owner.of_tcp(service.port, {syn.packet().source, syn.tcp().source_port()}),
                kWorker);
      ++begun;
    }
  }
  EXPECT_GT(begun, 30);
}

TEST_F(SharesTest, WhatOthersHaveSeenOfTheGuestIsKnown) {
  restart_as(1);
  GuestSeen seen = engine().guest_seen();
  seen.mac = wire::parse_mac("02:00:00:00:00:55").value();
  seen.addresses.learn(network(), ip("10.0.2.99"));
  engine().merge_guest(seen);
  EXPECT_EQ(engine().guest_seen(), seen);
  wire::Endpoint client{ip("198.51.100.1"), wire::Port{4000}};
  const wire::Endpoint service{network().guest_v4, wire::Port{80}};
  while (engine().owner_of_inbound(client, service) != 1) ++client.port.value;
  ASSERT_TRUE(tcp().on_inbound(client, service, 65'536, {now, sink}));
  collect();
  const Received syn = take_frame();
  EXPECT_EQ(syn.ethernet().destination(), seen.mac);
  EXPECT_EQ(syn.packet().destination, ip("10.0.2.99")) << "the address that the guest has taken";
}

class CountingLimits final : public policy::SharedLimits {
 public:
  policy::Verdict admit(policy::FlowSide, Instant) override {
    if (active == 2) return policy::Verdict::kTooManyFlows;
    ++active;
    return policy::Verdict::kAccepted;
  }
  bool has_room(policy::FlowSide) const override { return active < 2; }
  void released(policy::FlowSide) override { --active; }
  int active = 0;
};

TEST_F(SharesTest, SharedLimitsAreAskedInThePlaceOfItsOwn) {
  CountingLimits limits;
  restart_as(0, &limits);
  for (std::uint16_t port = 1; port < 4; ++port) {
    feed(udp_frame(network(), {network().guest_v4, wire::Port{port}}, endpoint("192.0.2.1:9"),
                   stream(0, 5)));
  }
  EXPECT_EQ(limits.active, 2);
  EXPECT_EQ(drops(DropReason::kTooManyFlows), 1U);
  pass(10min);
  EXPECT_EQ(limits.active, 0);
}

}  // namespace
}  // namespace sluice::flow::test
