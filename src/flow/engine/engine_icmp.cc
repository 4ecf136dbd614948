// The engine's share of ICMP and ICMPv6 (RFC 792, RFC 4443): echo, neighbours, and the errors that
// sockets on the host report.
#include "flow/engine/engine.h"
#include "flow/lease/neighbour.h"
#include "wire/ip/icmp.h"
#include "wire/ip/icmpv6.h"
#include "wire/ip/quoted_packet.h"

namespace sluice::flow {
namespace {

// The guest's kernel says that nobody waits for a datagram of ours. False: it is of no use to us.
[[gnu::cold]] bool lead_elsewhere(const std::expected<wire::QuotedPacket, wire::ParseError>& quoted,
                                  UdpFlows& flows, Turn turn) {
  return quoted && quoted->protocol == wire::IpProtocol::kUdp &&
         flows.on_guest_unreachable({quoted->destination, quoted->destination_port()},
                                    {quoted->source, quoted->source_port()}, turn);
}

}  // namespace

void Engine::on_icmp(const wire::IpPacketView& packet, bool checked, Turn turn) {
  const auto icmp = wire::IcmpView::parse(packet.payload);
  if (!icmp || packet.family != wire::IpFamily::kV4) {
    drop(DropReason::kMalformed);
    return;
  }
  if (!checked && !icmp->checksum_ok()) {
    drop(DropReason::kBadChecksum);
    return;
  }
  note_source(packet);
  if (icmp->type() == wire::IcmpType::kEchoRequest && icmp->code() == 0) {
    on_echo(packet, turn);
  } else if (icmp->type() == wire::IcmpType::kDestinationUnreachable &&
             icmp->code() == static_cast<std::uint8_t>(wire::IcmpUnreachable::kPort) &&
             lead_elsewhere(wire::parse_quoted_ipv4(icmp->payload()), udp_, turn)) {
    return;
  } else {
    drop(DropReason::kIcmpIgnored);
  }
}

void Engine::on_icmpv6(const wire::IpPacketView& packet, bool checked, Turn turn) {
  const auto icmp = wire::Icmpv6View::parse(packet.payload);
  if (!icmp || packet.family != wire::IpFamily::kV6) {
    drop(DropReason::kMalformed);
    return;
  }
  if (!checked && !icmp->checksum_ok(packet.source, packet.destination)) {
    drop(DropReason::kBadChecksum);
    return;
  }
  note_source(packet);
  switch (icmp->type()) {
    case wire::Icmpv6Type::kEchoRequest:
      if (icmp->code() == 0) on_echo(packet, turn);
      return;
    case wire::Icmpv6Type::kRouterSolicitation:
    case wire::Icmpv6Type::kNeighborSolicitation:
    case wire::Icmpv6Type::kNeighborAdvertisement: {
      const MutableBytes room = turn.out.add_frame(kServiceFrameMax, {}, {});
      const NeighbourAnswer answer = answer_ndp(options_.network, link_.guest_mac(), packet, room);
      turn.out.shrink_frame(answer.length);
      if (answer.guest_mac) link_.learn_guest_mac(*answer.guest_mac);
      if (answer.probed) link_.learn_guest_address(*answer.probed);
      return;
    }
    case wire::Icmpv6Type::kDestinationUnreachable:
      if (icmp->code() == static_cast<std::uint8_t>(wire::Icmpv6Unreachable::kPort) &&
          lead_elsewhere(wire::parse_quoted_ipv6(icmp->payload()), udp_, turn)) {
        return;
      }
      break;
    case wire::Icmpv6Type::kPacketTooBig:
    case wire::Icmpv6Type::kTimeExceeded:
    case wire::Icmpv6Type::kParameterProblem:
    case wire::Icmpv6Type::kEchoReply:
    case wire::Icmpv6Type::kMulticastListenerQuery:
    case wire::Icmpv6Type::kMulticastListenerReport:
    case wire::Icmpv6Type::kMulticastListenerDone:
    case wire::Icmpv6Type::kRouterAdvertisement:
    case wire::Icmpv6Type::kMulticastListenerReportV2: break;
  }
  drop(DropReason::kIcmpIgnored);
}

void Engine::on_echo(const wire::IpPacketView& packet, Turn turn) {
  if (!options_.network.services.echo) {
    drop(DropReason::kProtocolDisabled);
    return;
  }
  if (is_ours(packet.destination) || targets_.stands_for_host(packet.destination)) {
    answer_echo(packet, turn.out);
    return;
  }
  if (packet.destination.is_multicast() || packet.destination.is_v4_broadcast()) {
    drop(DropReason::kNotForUs);
    return;
  }
  if (options_.network.on_subnet(packet.destination)) {
    drop(DropReason::kUnreachable);
    link_.send_error(IcmpErrorKind::kHostUnreachable, packet, turn);
    return;
  }
  ping_.on_request(packet, packet.payload, turn);
}

// RFC 792, RFC 4443 4.2: the request comes back with another type.
void Engine::answer_echo(const wire::IpPacketView& packet, ActionSink& out) {
  const bool v4 = packet.family == wire::IpFamily::kV4;
  echo_reply_.assign(packet.payload.begin(), packet.payload.end());
  echo_reply_[0] = v4 ? static_cast<std::uint8_t>(wire::IcmpType::kEchoReply)
                      : static_cast<std::uint8_t>(wire::Icmpv6Type::kEchoReply);
  const FixedBytes<4> start = MutableBytes(echo_reply_).first<4>();
  const std::uint16_t old_word = be16<0>(FixedView<4>(packet.payload.first<4>()));
  put16<2>(start, wire::checksum_update16(be16<2>(start), old_word, be16<0>(start)));
  link_.send_icmp(packet.destination, packet.source, echo_reply_, 64, out);
}

[[gnu::cold]] void Engine::on_udp_error(UdpId socket, const wire::Endpoint& target, IcmpError error,
                                        ByteView payload, Turn turn) {
  if (udp_.calls_guest(socket)) {
    if (error.kind == IcmpErrorKind::kPortUnreachable) udp_.on_guest_refused(socket, turn);
    return;
  }
  const auto origin = udp_.origin_of(socket, target);
  if (!origin) return;
  error.from = targets_.error_source(error.from, origin->remote.address);
  // A datagram that goes on in the other family is longer or shorter by the difference of headers.
  constexpr std::uint32_t kDifference = 20;
  const bool v4 = origin->guest.address.is_v4();
  if (error.mtu > kDifference && v4 != target.address.is_v4()) {
    error.mtu = v4 ? error.mtu - kDifference : error.mtu + kDifference;
  }
  link_.send_error(error,
                   {.protocol = wire::IpProtocol::kUdp,
                    .guest = origin->guest,
                    .remote = origin->remote,
                    .payload = payload},
                   turn);
}

[[gnu::cold]] void Engine::on_ping_error(PingId socket, IcmpError error, ByteView message,
                                         Turn turn) {
  const auto origin = ping_.origin_of(socket);
  if (!origin) return;
  error.from = targets_.error_source(error.from, origin->remote);
  const bool v4 = origin->guest.is_v4();
  LostPacket lost{.protocol = v4 ? wire::IpProtocol::kIcmp : wire::IpProtocol::kIcmpv6,
                  .guest = {origin->guest, wire::Port{origin->identifier}},
                  .remote = {origin->remote, {}}};
  if (message.size() >= 8) {
    lost.remote.port.value = be16<6>(message.first<8>());
    lost.payload = message.subspan(8);
  }
  link_.send_error(error, lost, turn);
}

}  // namespace sluice::flow
