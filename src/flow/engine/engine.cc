#include "flow/engine/engine.h"

#include <algorithm>
#include <utility>

#include "flow/engine/inside_answers.h"
#include "flow/lease/dhcp_server.h"
#include "flow/lease/dhcpv6_server.h"
#include "flow/lease/neighbour.h"

namespace sluice::flow {
namespace {

constexpr std::uint16_t kPortDhcpServer = 67;
constexpr std::uint16_t kPortDhcpv6Server = 547;
// UDP_MAX_SEGMENTS of Linux, above which it takes no batch.
constexpr std::size_t kUdpSegmentsMax = 128;

}  // namespace

Engine::Engine(EngineOptions options, const EngineSeeds& seeds, Instant now)
    : options_(std::move(options)),
      link_(options_.network, options_.link),
      admission_(options_.policy, options_.host_addresses,
                 policy::GuestLimits(options_.limits, options_.max_inbound_streams),
                 options_.shared_limits),
      own_book_(seeds.dns),
      book_(options_.shared_names != nullptr ? *options_.shared_names : own_book_),
      refusals_(options_.shared_refusals != nullptr ? *options_.shared_refusals : own_refusals_),
      judge_(admission_.reach(), book_, refusals_),
      dns_judge_(admission_.reach(), {book_, refusals_}, admission_.drops(), options_.network),
      audit_({.flows = judge_, .claims = judge_, .queries = dns_judge_}, book_),
      targets_(options_.network, options_.host_loopback),
      timers_(now),
      dns_(seeds.dns),
      names_(seeds.dns),
      tcp_(context(TimerKind::kTcp, seeds), seeds.sequence, options_.tcp),
      udp_(context(TimerKind::kUdp, seeds)),
      ping_(context(TimerKind::kPing, seeds)),
      dns_streams_(tcp_),
      explained_(tcp_),
      pages_(tcp_,
             [this](ByteView head) { return answer_inside(head, refusals_, judge_.policy()); }),
      finder_({book_, judge_, dns_judge_, targets_, admission_.drops(), tcp_, udp_, ping_}) {
  for (const wire::Prefix& prefix : options_.nat64_prefixes) add_nat64_prefix(prefix);
  if (options_.egress != nullptr) use_policy(*options_.egress);
}

[[gnu::cold]] void Engine::use_policy(const policy::EgressPolicy& policy) {
  if (options_.shared_meters == nullptr) own_meters_.bind(policy);
  admission_.set_meters(
      (options_.shared_meters != nullptr ? *options_.shared_meters : own_meters_).table());
  admission_.set_leading(policy.leads_any() ? &policy : nullptr);
  admission_.reach().set_policy(policy.addresses());
  judge_.set_policy(policy);
  dns_judge_.set_policy(policy);
  const bool names = policy.names_decide() || options_.audit;
  if (options_.audit) {
    admission_.set_judge(&audit_, &book_);
    tcp_.set_claim_judge(&audit_);
    tcp_.let_through_all();
    dns_.set_judge(&audit_);
  } else {
    admission_.set_judge(names ? &judge_ : nullptr, &book_);
    tcp_.set_claim_judge(names ? &judge_ : nullptr);
    dns_.set_judge(names ? &dns_judge_ : nullptr);
  }
  targets_.set_intercepts_dns(names && policy.dns().intercept);
  targets_.set_names_decide(names);
  targets_.set_has_pages(names && policy.dns().pages);
}

[[gnu::cold]] void Engine::on_verdict(const FlowId& flow, const Ruling& ruling, Turn turn) {
  if (flow.protocol == wire::IpProtocol::kTcp) tcp_.on_verdict(TcpId{flow.handle}, ruling, turn);
  if (flow.protocol == wire::IpProtocol::kUdp) udp_.on_verdict(flow.handle, ruling, turn);
}

[[gnu::noinline]] void Engine::on_frame(ByteView frame, const wire::VirtioNetHeader& offload,
                                        Turn turn) {
  begin_burst();
  const auto ethernet = wire::EthernetView::parse(frame);
  if (!ethernet) {
    drop(DropReason::kMalformed);
    return;
  }
  const wire::MacAddress sender = ethernet->source();
  if (is_impossible(sender)) {
    drop(DropReason::kSpoofedSource);
    return;
  }
  const wire::EtherType type = ethernet->ether_type();
  if (type == wire::EtherType::kArp) {
    on_arp(ethernet->payload(), turn.out);
    return;
  }
  const bool v4 = type == wire::EtherType::kIpv4;
  if (!v4 && type != wire::EtherType::kIpv6) {
    drop(DropReason::kForeignEtherType);
    return;
  }
  if (!(v4 ? options_.network.ipv4 : options_.network.ipv6)) {
    drop(DropReason::kFamilyDisabled);
    return;
  }
  const auto packet = wire::parse_ip_packet(type, ethernet->payload());
  if (!packet) {
    drop(packet.error() == wire::ParseError::kBadChecksum ? DropReason::kBadChecksum
                                                          : DropReason::kMalformed);
    return;
  }
  link_.learn_guest_mac(sender);
  on_packet(*packet, offload, turn);
}

// What a segment means in any but the plainest case is found out of a copy of it: of the next bytes
// of a connection that stands, nobody here has to look at any. That it stands says that all else
// was checked of the packets that made it.
[[gnu::noinline]] void Engine::on_pieces(const wire::FrameIn& frame, Turn turn) {
  begin_burst();
  if (frame.offload.vouches()) {
    const auto head = wire::TcpFrameHead::parse(frame.bytes, frame.size());
    const bool plain = head && head->hop_limit > 1 && !is_impossible(head->sender) &&
                       head->sender == link_.guest_mac();
    if (plain && tcp_.on_pieces(*head, frame.rest, turn)) return;
  }
  on_frame(frame.whole(), frame.offload, turn);
}

void Engine::end_burst(BurstEnd end, Turn turn) {
  burst_open_ = false;
  tcp_.end_burst(end, turn);
  udp_.end_burst();
  ping_.end_burst();
}

void Engine::on_arp(ByteView payload, ActionSink& out) {
  if (!options_.network.ipv4) {
    drop(DropReason::kFamilyDisabled);
    return;
  }
  const MutableBytes room = out.add_frame(kServiceFrameMax, {}, {});
  const NeighbourAnswer answer = answer_arp(options_.network, payload, room);
  out.shrink_frame(answer.length);
  if (answer.guest_mac) link_.learn_guest_mac(*answer.guest_mac);
}

void Engine::on_packet(const wire::IpPacketView& packet, const wire::VirtioNetHeader& offload,
                       Turn turn) {
  if (!source_is_possible(packet)) {
    drop(DropReason::kSpoofedSource);
    return;
  }
  if (packet.fragment) [[unlikely]] {
    on_fragment(packet, turn);
    return;
  }
  dispatch(packet, offload, turn);
}

// A source of 0.0.0.0 or :: is how a host without an address asks for one.
bool Engine::source_is_possible(const wire::IpPacketView& packet) const {
  const wire::IpAddress& source = packet.source;
  if (packet.family == wire::IpFamily::kV6 && (source.is_v4() || packet.destination.is_v4())) {
    return false;  // RFC 4038, 4.2: IPv4-mapped addresses do not belong on a wire.
  }
  return !source.is_multicast() && !source.is_loopback() && !source.is_v4_broadcast() &&
         !is_ours(source);
}

bool Engine::is_ours(const wire::IpAddress& address) const {
  return targets_.is_gateway(address) || options_.network.is_dns(address);
}

[[gnu::cold]] void Engine::on_fragment(const wire::IpPacketView& packet, Turn turn) {
  FragmentReassembly::Result result = reassembly_.add(fragment_of(packet), turn.now);
  switch (result.outcome) {
    case FragmentOutcome::kStored:
    case FragmentOutcome::kDuplicate: return;
    case FragmentOutcome::kOverlap:
    case FragmentOutcome::kBadLength:
    case FragmentOutcome::kNoRoom: drop(DropReason::kFragmentDropped); return;
    case FragmentOutcome::kComplete: break;
  }
  reassembled_.push_back(std::move(*result.datagram));
  const Datagram& datagram = reassembled_.back();
  wire::IpPacketView whole = packet;
  whole.fragment.reset();
  whole.protocol = datagram.protocol;
  whole.hop_limit = datagram.hop_limit;
  whole.traffic_class = datagram.traffic_class;
  whole.payload = datagram.bytes;
  if (whole.family == wire::IpFamily::kV6) {
    const auto upper = wire::walk_extension_headers(datagram.protocol, datagram.bytes);
    if (!upper || upper->fragment) {
      drop(DropReason::kMalformed);
      return;
    }
    whole.protocol = upper->protocol;
    whole.payload = upper->payload;
  }
  if (options_.share.has_packet(whole)) [[likely]] {
    dispatch(whole, {}, turn);
  } else {
    foreign_frames_.push_back(frame_of(datagram, options_.network.gateway_mac, link_.guest_mac()));
  }
}

[[gnu::noinline]] void Engine::dispatch(const wire::IpPacketView& packet,
                                        const wire::VirtioNetHeader& offload, Turn turn) {
  const bool to_one = !packet.destination.is_multicast() && !packet.destination.is_v4_broadcast();
  const bool beyond_us = to_one && !is_ours(packet.destination);
  wire::IpPacketView onward = packet;
  if (beyond_us) [[likely]] {
    // We are the guest's router (RFC 1812, 5.3.1; RFC 8200, 3).
    if (packet.hop_limit <= 1) {
      drop(DropReason::kHopLimit);
      link_.send_error(IcmpErrorKind::kTimeExceeded, packet, turn);
      return;
    }
    --onward.hop_limit;
    if (packet.source.is_unspecified() || packet.destination.is_unspecified()) {
      drop(DropReason::kSpoofedSource);
      return;
    }
  }
  const bool checked = offload.vouches();
  if (packet.protocol == wire::IpProtocol::kTcp) {
    if (to_one) {
      on_tcp(onward, checked, turn);
    } else {
      drop(DropReason::kNotForUs);
    }
  } else if (packet.protocol == wire::IpProtocol::kUdp) {
    on_udp(onward, offload, beyond_us, turn);
  } else if (packet.protocol == wire::IpProtocol::kIcmp) {
    on_icmp(onward, checked, turn);
  } else if (packet.protocol == wire::IpProtocol::kIcmpv6) {
    on_icmpv6(onward, checked, turn);
  } else {
    drop(DropReason::kForeignProtocol);
    link_.send_error(IcmpErrorKind::kProtocolUnreachable, packet, turn);
  }
}

void Engine::on_tcp(const wire::IpPacketView& packet, bool checked, Turn turn) {
  const auto segment = wire::TcpView::parse(packet.payload);
  if (!segment) {
    drop(DropReason::kMalformed);
    return;
  }
  if (!checked && !segment->checksum_ok(packet.source, packet.destination)) {
    drop(DropReason::kBadChecksum);
    return;
  }
  note_source(packet);
  tcp_.on_segment(packet, *segment, turn);
}

void Engine::on_returned(ByteView packet, Turn turn) {
  const auto view = wire::parse_ip_packet(packet);
  // It was checked when it came.
  if (view) on_tcp(*view, true, turn);
}

void Engine::on_udp(const wire::IpPacketView& packet, const wire::VirtioNetHeader& offload,
                    bool beyond_us, Turn turn) {
  const auto udp = wire::UdpView::parse(packet.payload);
  if (!udp) {
    drop(DropReason::kMalformed);
    return;
  }
  if (!offload.vouches() && !udp->checksum_ok(packet.source, packet.destination)) {
    drop(DropReason::kBadChecksum);
    return;
  }
  note_source(packet);
  const bool to_us = !beyond_us && !leads_to_loopback(packet, *udp);
  if (to_us || targets_.intercepts({packet.destination, udp->destination_port()})) [[unlikely]] {
    on_udp_service(packet, *udp, turn);
    return;
  }
  const bool batch = offload.gso_kind() == wire::VirtioNetHeader::kGsoUdpL4;
  const std::uint16_t each = batch ? offload.gso_size : std::uint16_t{0};
  // As Linux has it of its guests: a frame may not be work for thousands.
  if (each > 0 && udp->payload().size() > each * kUdpSegmentsMax) [[unlikely]] {
    drop(DropReason::kMalformed);
    return;
  }
  udp_.on_datagram(packet, *udp, udp->payload(), each, turn);
}

// The gateway stands for the host's loopback: where the guest may go there, and where a client
// there began.
[[gnu::noinline]] bool Engine::leads_to_loopback(const wire::IpPacketView& packet,
                                                 const wire::UdpView& udp) const {
  const wire::Endpoint remote{packet.destination, udp.destination_port()};
  return targets_.is_gateway(packet.destination) && remote.port.value != kPortDhcpServer &&
         (targets_.target_of(remote).kind == TargetKind::kHost ||
          udp_.knows({packet.source, udp.source_port()}, remote));
}

// DHCP, DHCPv6 and DNS; anything else to an address of ours meets a closed port.
[[gnu::noinline]] void Engine::on_udp_service(const wire::IpPacketView& packet,
                                              const wire::UdpView& udp, Turn turn) {
  const wire::Endpoint guest{packet.source, udp.source_port()};
  const wire::Endpoint remote{packet.destination, udp.destination_port()};
  const bool v4 = packet.family == wire::IpFamily::kV4;
  if (v4 && remote.port.value == kPortDhcpServer) {
    const MutableBytes room = turn.out.add_frame(kServiceFrameMax, {}, {});
    turn.out.shrink_frame(answer_dhcp(options_.network, udp.payload(), room));
  } else if (!v4 && remote.port.value == kPortDhcpv6Server) {
    const MutableBytes room = turn.out.add_frame(kServiceFrameMax, {}, {});
    turn.out.shrink_frame(
        answer_dhcpv6(options_.network, {link_.guest_mac(), guest}, udp.payload(), room));
  } else if (packet.destination.is_multicast() || packet.destination.is_v4_broadcast()) {
    drop(DropReason::kNotForUs);
  } else if (targets_.is_dns(remote)) {
    on_dns_query({.endpoint = guest, .asked = remote.address, .stream = {}}, udp.payload(), turn);
  } else {
    link_.send_error(IcmpErrorKind::kPortUnreachable, packet, turn);
  }
}

void Engine::set_resolvers(const std::vector<wire::Endpoint>& resolvers,
                           dns::DnsUpstream upstream) {
  dns_.set_resolvers(resolvers, upstream);
}

Instant Engine::next_wakeup() const {
  return std::min({timers_.next_wakeup(), reassembly_.next_deadline(), dns_.next_deadline(),
                   dns_streams_.next_deadline(), explained_.next_deadline(), pages_.next_deadline(),
                   finder_.next_deadline()});
}

void Engine::on_timers(Turn turn) {
  while (const TimerNode* due = timers_.pop_due(turn.now)) {
    const auto index = static_cast<std::uint32_t>(due->owner());
    switch (static_cast<TimerKind>(due->owner() >> 32)) {
      case TimerKind::kTcp: tcp_.on_timer(index, turn); break;
      case TimerKind::kUdp: udp_.on_timer(index, turn); break;
      case TimerKind::kPing: ping_.on_timer(index, turn); break;
    }
  }
  if (dns_.next_deadline() <= turn.now) {
    dns_.on_timer(turn.now, dns_fresh_);
    settle_dns(turn);
  }
  if (dns_streams_.next_deadline() <= turn.now) dns_streams_.on_timer(turn);
  if (explained_.next_deadline() <= turn.now) explained_.on_timer(turn);
  if (pages_.next_deadline() <= turn.now) pages_.on_timer(turn);
  if (finder_.next_deadline() <= turn.now) finder_.on_timer(turn);
  for (std::size_t gone = reassembly_.expire(turn.now); gone > 0; --gone) {
    drop(DropReason::kFragmentDropped);
  }
}

std::vector<TcpFlows::GivenUp> Engine::shut_down(Turn turn) {
  std::vector<TcpFlows::GivenUp> given_up = tcp_.shut_down(turn);
  udp_.shut_down(turn);
  ping_.shut_down(turn);
  return given_up;
}

}  // namespace sluice::flow
