// The link of a run, its faults, and the guest's stack above it.
#include <fmt/core.h>

#include <algorithm>

#include "check.h"
#include "flow/ip/fragmenter.h"
#include "pattern.h"
#include "wire/checksum.h"
#include "wire/ip/icmp.h"
#include "wire/ip/icmpv6.h"
#include "wire/print/pretty.h"
#include "wire/transport/udp.h"
#include "world.h"

namespace sluice::sim {
namespace {

constexpr std::size_t kEthernet = wire::kEthernetHeaderSize;
const wire::Endpoint kUdpServer{wire::IpAddress::v4(0xc633'64fa), wire::Port{7}};
const wire::IpAddress kPingTarget = wire::IpAddress::v4(0xc633'64fb);
constexpr std::uint32_t kUdpSalt = 1000;
// The path within the guest's kernel, from a socket that was handed over.
constexpr Duration kWithinKernel = std::chrono::microseconds(40);

void emit_ip(MutableBytes header, const flow::GuestNetwork& network, const wire::Endpoint& source,
             const wire::Endpoint& destination, wire::IpProtocol protocol, std::size_t length) {
  const bool v4 = source.address.is_v4();
  wire::emit_ethernet(header.first<kEthernet>(), network.gateway_mac, network.guest_mac,
                      v4 ? wire::EtherType::kIpv4 : wire::EtherType::kIpv6);
  if (v4) {
    wire::Ipv4Repr{.source = source.address,
                   .destination = destination.address,
                   .protocol = protocol,
                   .payload_length = static_cast<std::uint16_t>(length)}
        .emit(header.subspan(kEthernet).first<20>());
  } else {
    wire::Ipv6Repr{.source = source.address,
                   .destination = destination.address,
                   .next_header = protocol,
                   .payload_length = static_cast<std::uint16_t>(length)}
        .emit(header.subspan(kEthernet).first<40>());
  }
}

}  // namespace

std::uint32_t World::new_frame() {
  if (free_frames_.empty()) {
    frames_.emplace_back();
    return static_cast<std::uint32_t>(frames_.size() - 1);
  }
  const std::uint32_t frame = free_frames_.back();
  free_frames_.pop_back();
  frames_[frame].offload = {};
  return frame;
}

void World::send_frame(std::uint32_t frame, EventKind direction) {
  const LinkPlan& plan = scenario_.link;
  const bool to_engine = direction == EventKind::kFrameToEngine;
  ++totals_.frames;
  if (verbose_) {
    fmt::print("{:.6f} {} {}\n", std::chrono::duration<double>(now_ - start_).count(),
               to_engine ? ">" : "<", wire::pretty_frame(frames_[frame].bytes));
  }
  const sim::FrameFate fate = now_ < start_ + plan.faults_end
                                  ? faults_.next(prng_, frames_[frame].bytes.size(), kEthernet)
                                  : sim::FrameFate{};
  if (fate.lost) {
    if (verbose_) fmt::print("         … lost\n");
    free_frames_.push_back(frame);
    return;
  }
  Instant at = now_ + (to_engine ? plan.latency_to_engine : plan.latency_to_guest);
  Instant& last = to_engine ? last_to_engine_ : last_to_guest_;
  if (fate.delay) {
    at += *fate.delay;
  } else {
    at = std::max(at, last);
    last = at;
  }
  if (fate.repeat_after) {
    const std::uint32_t copy = new_frame();
    frames_[copy] = frames_[frame];
    schedule(at + *fate.repeat_after, direction, copy);
  }
  if (fate.corruption) {
    std::uint8_t& byte = frames_[frame].bytes[fate.corruption->offset];
    byte = static_cast<std::uint8_t>(byte ^ fate.corruption->mask);
  }
  schedule(at, direction, frame);
}

void World::transmit(std::uint32_t connection, const OutgoingSegment& segment) {
  const ConnectionPlan& plan = scenario_.connections[connection];
  wire::TcpRepr tcp{.source_port = plan.guest.port,
                    .destination_port = plan.remote.port,
                    .sequence = segment.sequence,
                    .acknowledgment = segment.acknowledgment,
                    .flags = segment.flags,
                    .window = segment.window,
                    .urgent = segment.urgent,
                    .options = segment.options};
  const std::size_t tcp_size = tcp.header_length();
  const std::size_t start = kEthernet + (plan.guest.address.is_v4() ? 20U : 40U);
  const std::uint32_t number = new_frame();
  Frame& frame = frames_[number];
  frame.bytes.resize(start + tcp_size + segment.payload.size());
  const MutableBytes all(frame.bytes);
  emit_ip(all, engine_.network(), plan.guest, plan.remote, wire::IpProtocol::kTcp,
          tcp_size + segment.payload.size());
  const MutableBytes header = all.subspan(start, tcp_size);
  std::ranges::copy(segment.payload, all.begin() + static_cast<std::ptrdiff_t>(start + tcp_size));
  if (scenario_.checksum_offload) {
    tcp.checksum = wire::tcp_partial_checksum(plan.guest.address, plan.remote.address,
                                              tcp_size + segment.payload.size());
    frame.offload.flags = wire::VirtioNetHeader::kNeedsCsum;
    frame.offload.csum_start = static_cast<std::uint16_t>(start);
    frame.offload.csum_offset = wire::kTcpChecksumOffset;
    tcp.emit(header);
  } else {
    tcp.emit(header);
    wire::set_tcp_checksum(header, wire::tcp_checksum(plan.guest.address, plan.remote.address,
                                                      header, segment.payload));
  }
  if (takes_new_way(connection, segment.flags)) {
    to_carried(number, connection);
  } else {
    send_frame(number, EventKind::kFrameToEngine);
  }
}

void World::transmit_carried(std::uint32_t connection, const OutgoingSegment& segment) {
  const ConnectionPlan& plan = scenario_.connections[connection];
  const wire::TcpRepr tcp{.source_port = plan.remote.port,
                          .destination_port = plan.guest.port,
                          .sequence = segment.sequence,
                          .acknowledgment = segment.acknowledgment,
                          .flags = segment.flags,
                          .window = segment.window,
                          .options = segment.options};
  const std::size_t tcp_size = tcp.header_length();
  const std::size_t start = kEthernet + (plan.guest.address.is_v4() ? 20U : 40U);
  const std::uint32_t number = new_frame();
  std::vector<std::uint8_t>& bytes = frames_[number].bytes;
  bytes.resize(start + tcp_size + segment.payload.size());
  const MutableBytes all(bytes);
  emit_ip(all, engine_.network(), plan.remote, plan.guest, wire::IpProtocol::kTcp,
          tcp_size + segment.payload.size());
  const MutableBytes header = all.subspan(start, tcp_size);
  std::ranges::copy(segment.payload, all.begin() + static_cast<std::ptrdiff_t>(start + tcp_size));
  tcp.emit(header);
  wire::set_tcp_checksum(
      header, wire::tcp_checksum(plan.remote.address, plan.guest.address, header, segment.payload));
  note_offer(bytes);
  if (verbose_) {
    fmt::print("{:.6f} ( {}\n", std::chrono::duration<double>(now_ - start_).count(),
               wire::pretty_frame(bytes));
  }
  last_from_carried_ = std::max(last_from_carried_, now_ + draw_within(kWithinKernel));
  schedule(last_from_carried_, EventKind::kFrameToGuest, number);
}

// The engine's frames set out for the guest.
void World::collect_frames() {
  for (const wire::FrameOut& out : sink_.frames()) {
    const std::uint32_t number = new_frame();
    Frame& frame = frames_[number];
    const ByteView header = sink_.frames().header(out);
    frame.bytes.assign(header.begin(), header.end());
    frame.bytes.insert(frame.bytes.end(), out.payload.begin(), out.payload.end());
    frame.offload = out.offload;
    note_engine_frame(note_offer(frame.bytes));
    send_frame(number, EventKind::kFrameToGuest);
  }
  sink_.frames().clear();
}

void World::deliver_to_guest(const Frame& frame) {
  const auto ethernet = wire::EthernetView::parse(frame.bytes);
  check(ethernet.has_value(), "the engine sends Ethernet frames");
  const bool clean = scenario_.link.faults.corrupted == 0;
  const auto packet = wire::parse_ip_packet(ethernet->ether_type(), ethernet->payload());
  if (!packet) {
    check(!clean, "the engine sends IP packets");
    return;
  }
  check(!clean || frame.offload.gso_type != wire::VirtioNetHeader::kGsoNone ||
            packet->packet.size() <= scenario_.mtu,
        "no packet exceeds the MTU");
  if (packet->protocol == wire::IpProtocol::kTcp) {
    tcp_to_guest(*packet, frame);
  } else if (packet->protocol == wire::IpProtocol::kUdp) {
    ++datagram_replies_;
  } else {
    icmp_to_guest(*packet);
  }
}

void World::tcp_to_guest(const wire::IpPacketView& packet, const Frame& frame) {
  const bool clean = scenario_.link.faults.corrupted == 0;
  const auto segment = wire::TcpView::parse(packet.payload);
  if (!segment) {
    check(!clean, "the engine sends TCP segments");
    return;
  }
  if (frame.offload.needs_checksum()) {
    check(segment->checksum() ==
              wire::tcp_partial_checksum(packet.source, packet.destination, packet.payload.size()),
          "the pseudo-header's sum is in its place");
  } else if (!segment->checksum_ok(packet.source, packet.destination)) {
    check(!clean, "the engine's checksums are right");
    return;
  }
  for (std::uint32_t i = 0; i < guests_.size(); ++i) {
    const ConnectionPlan& plan = scenario_.connections[i];
    if (plan.guest != wire::Endpoint{packet.destination, segment->destination_port()}) continue;
    check(plan.remote == wire::Endpoint{packet.source, segment->source_port()},
          "the guest sees the address it knows");
    const std::size_t size = segment->payload().size();
    const std::size_t limit =
        frame.offload.gso_type == wire::VirtioNetHeader::kGsoNone ? size : frame.offload.gso_size;
    check(limit <= std::max<std::size_t>(plan.mss, 88), "no segment exceeds the guest's MSS");
    guests_[i].on_segment(*segment);
    return;
  }
  check(!clean, "every segment is for somebody");
}

void World::icmp_to_guest(const wire::IpPacketView& packet) {
  if (packet.protocol == wire::IpProtocol::kIcmp) {
    const auto icmp = wire::IcmpView::parse(packet.payload);
    if (!icmp || !icmp->checksum_ok()) return;
    if (icmp->type() == wire::IcmpType::kEchoReply) {
      check(icmp->identifier() == 500 + icmp->sequence_number(), "the guest's identifier is back");
      ++ping_replies_;
      return;
    }
  }
  // An error quotes our packet: the guest's port is behind its IP header.
  const std::size_t port_at = 8 + (packet.family == wire::IpFamily::kV4 ? 20U : 40U);
  if (packet.payload.size() < port_at + 8) return;
  const std::uint16_t port = be16<0>(packet.payload.subspan(port_at).first<2>());
  for (std::uint32_t i = 0; i < guests_.size(); ++i) {
    const ConnectionPlan& plan = scenario_.connections[i];
    if (plan.guest.port.value == port && plan.connect_result == ConnectResult::kUnreachable) {
      guests_[i].on_unreachable();
    }
  }
}

// One guest endpoint for every two datagrams; some are larger than the MTU, and so are replies.
void World::send_datagram(std::uint32_t number) {
  ++datagrams_sent_;
  const wire::Endpoint guest{engine_.network().guest_v4,
                             wire::Port{static_cast<std::uint16_t>(50'000 + number / 2)}};
  const std::size_t size = prng_.below(4) == 0 ? prng_.below(8'000) : prng_.below(1'200);
  const ByteView payload = Pattern::at(kUdpSalt + number, 0, size);
  std::array<std::uint8_t, 8> header;
  wire::UdpRepr udp{.source_port = guest.port,
                    .destination_port = kUdpServer.port,
                    .payload_length = static_cast<std::uint16_t>(size)};
  udp.emit(header);
  udp.checksum = wire::udp_checksum(guest.address, kUdpServer.address, header, payload);
  udp.emit(header);
  flow::Fragmenter fragments({.guest_mac = engine_.network().gateway_mac,
                              .gateway_mac = engine_.network().guest_mac,
                              .source = guest.address,
                              .destination = kUdpServer.address,
                              .protocol = wire::IpProtocol::kUdp,
                              .identification = number + 1,
                              .header = header,
                              .payload = payload},
                             scenario_.mtu);
  for (;;) {
    const std::uint32_t frame = new_frame();
    frames_[frame].bytes.resize(fragments.frame_size_max());
    const std::size_t length = fragments.next(frames_[frame].bytes);
    if (length == 0) {
      free_frames_.push_back(frame);
      return;
    }
    frames_[frame].bytes.resize(length);
    send_frame(frame, EventKind::kFrameToEngine);
  }
}

void World::on_send_udp(const flow::SendUdp& action) {
  check(action.target == kUdpServer, "a datagram goes where the guest sent it");
  bool known = false;
  for (std::uint32_t i = 0; i < scenario_.datagrams && !known; ++i) {
    known = Pattern::matches(kUdpSalt + i, 0, action.payload);
  }
  check(known || scenario_.link.faults.corrupted != 0, "a datagram arrives whole and unchanged");
  ++datagrams_seen_;
  const ByteView answer = Pattern::at(1, 0, prng_.below(3'000));
  replies_.push_back({.udp = action.socket,
                      .from = kUdpServer,
                      .bytes = std::vector<std::uint8_t>(answer.begin(), answer.end())});
  schedule(now_ + std::chrono::microseconds(prng_.below(50'000)), EventKind::kUdpReply,
           static_cast<std::uint32_t>(replies_.size() - 1));
}

void World::send_ping(std::uint32_t number) {
  ++pings_sent_;
  const std::uint32_t frame = new_frame();
  std::vector<std::uint8_t>& bytes = frames_[frame].bytes;
  bytes.assign(kEthernet + 20 + 8 + 32, 7);
  const MutableBytes all(bytes);
  emit_ip(all, engine_.network(), {engine_.network().guest_v4, {}}, {kPingTarget, {}},
          wire::IpProtocol::kIcmp, 40);
  wire::IcmpRepr::echo(wire::IcmpType::kEchoRequest, static_cast<std::uint16_t>(500 + number),
                       static_cast<std::uint16_t>(number))
      .emit(all.subspan(kEthernet + 20).first<8>(), all.subspan(kEthernet + 28));
  send_frame(frame, EventKind::kFrameToEngine);
}

// The host's kernel writes an identifier of its own.
void World::on_send_ping(const flow::SendPing& action) {
  std::vector<std::uint8_t> bytes(action.message.begin(), action.message.end());
  bytes[0] = 0;
  bytes[4] = static_cast<std::uint8_t>(prng_.next());
  replies_.push_back(
      {.ping = action.socket, .from = {action.target, {}}, .bytes = std::move(bytes)});
  schedule(now_ + std::chrono::microseconds(prng_.below(50'000)), EventKind::kPingReply,
           static_cast<std::uint32_t>(replies_.size() - 1));
}

}  // namespace sluice::sim
