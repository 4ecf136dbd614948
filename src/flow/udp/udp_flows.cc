#include "flow/udp/udp_flows.h"

namespace sluice::flow {

UdpFlows::UdpFlows(const FlowContext& context)
    : link_(context.link),
      admission_(context.admission),
      targets_(context.targets),
      timers_(context.timers),
      timer_kind_(context.timer_kind),
      sockets_(context.table_secret),
      flow_table_(context.table_secret),
      client_table_(context.table_secret) {}

[[gnu::noinline]] void UdpFlows::on_datagram(const wire::IpPacketView& packet,
                                             const wire::UdpView& header, ByteView datagrams,
                                             std::uint16_t segment_size, Turn turn) {
  const FlowKey key{{packet.source, header.source_port()},
                    {packet.destination, header.destination_port()},
                    wire::IpProtocol::kUdp};
  std::uint32_t index = index_of(key);
  if (index == FlowTable::kNone) [[unlikely]] {
    index = open(key, packet, turn);
    if (index == FlowTable::kNone) return;
  } else if (flows_.at(index).standing == Standing::kAskedOnce) [[unlikely]] {
    set_standing(index, Standing::kConfirmed);
  }
  Flow& flow = flows_.at(index);
  flow.active = turn.now;
  if (flow.held != nullptr) [[unlikely]] {
    if (!flow.held->add(datagrams, segment_size, packet.hop_limit)) {
      admission_.drops().count(DropReason::kUdpHeldFull);
    }
    return;
  }
  if (flow.inbound && !flow.answered) {
    flow.answered = true;
    set_standing(index, Standing::kUnconfirmed);
    turn.out.tell_opening(flow);
  }
  if (flow.call != nullptr && !flow.call->server()) [[unlikely]] {
    calls_.forget_kept(*flow.call);  // Its server waits at the guest's address.
    flow.call.reset();
    flow.by_loopback = false;  // One at the loopback may have answered before.
  }
  send_to_host(index, {datagrams, segment_size}, packet.hop_limit, turn);
}

void UdpFlows::send_to_host(std::uint32_t index, const UdpBatch& batch, std::uint8_t hop_limit,
                            Turn turn) {
  Flow& flow = flows_.at(index);
  ByteView datagrams = batch.datagrams;
  if (flow.metered.any()) [[unlikely]] {
    const auto passing = meter(index, flow.metered.meter->to_host(), batch, turn);
    if (!passing) return;
    datagrams = datagrams.first(*passing);
  }
  flow.bytes_to_host += datagrams.size();
  turn.out.push(SendUdp{.socket = flow.socket,
                        .target = flow.target,
                        .payload = datagrams,
                        .segment_size = batch.segment_size,
                        .hop_limit = hop_limit,
                        .local = flow.local});
}

[[gnu::noinline]] std::uint32_t UdpFlows::open(const FlowKey& key, const wire::IpPacketView& packet,
                                               Turn turn) {
  if (!targets_.network().services.udp) {
    admission_.drops().count(DropReason::kProtocolDisabled);
    return FlowTable::kNone;
  }
  const Target target = targets_.target_of(key.remote);
  if (target.kind == TargetKind::kUnreachable) {
    admission_.refuse(policy::Verdict::kNotRoutable);
    link_.send_error(IcmpErrorKind::kHostUnreachable, packet, turn);
    return FlowTable::kNone;
  }
  if (target.kind != TargetKind::kHost) {
    link_.send_error(IcmpErrorKind::kPortUnreachable, packet, turn);
    return FlowTable::kNone;
  }
  const bool published = sockets_.is_published(key.guest);
  const auto side = published ? policy::FlowSide::kInboundDatagram : policy::FlowSide::kOutbound;
  if (published && !admission_.has_room(side)) (void)make_room(turn);
  const Admitted admitted = admission_.judge(policy::Protocol::kUdp, key.remote, turn.now, side);
  if (admitted.answer == Admitted::Answer::kRefused) {
    // A browser whose QUIC finds a closed port goes on with TCP at once.
    const bool quic = admitted.prohibited && key.remote.port.value == 443;
    link_.send_error(quic ? IcmpErrorKind::kPortUnreachable : IcmpErrorKind::kProhibited, packet,
                     turn);
    turn.out.push(ReportFlow{refused_flow(key, admitted.verdict, admitted.by, turn.now)});
    return FlowTable::kNone;
  }
  if (admitted.answer == Admitted::Answer::kAsked) [[unlikely]] {
    const std::uint32_t asked = begin_asking(key, target.endpoint, admitted.by, turn);
    flows_.at(asked).side = side;
    flows_.at(asked).metered = admitted.metered;
    return asked;
  }
  if (admitted.by.source == NameSource::kSynthetic) [[unlikely]] {
    const std::uint32_t sought = begin_finding(key, admitted.by, turn);
    flows_.at(sought).side = side;
    flows_.at(sought).metered = admitted.metered;
    return sought;
  }
  const std::uint32_t index =
      create(key, target.endpoint, socket_for(key.guest, turn.out), turn.now);
  flows_.at(index).side = side;
  flows_.at(index).by = admitted.by;
  flows_.at(index).metered = admitted.metered;
  turn.out.tell_opening(flows_.at(index));
  set_standing(index, published ? Standing::kUnanswered : Standing::kAskedOnce);
  return index;
}

UdpId UdpFlows::socket_for(const wire::Endpoint& guest, ActionSink& out) {
  if (const auto found = sockets_.shared(guest)) return *found;
  const UdpId id = sockets_.add_shared(guest);
  out.push(OpenUdp{id, guest.address.family(), guest.address.is_loopback()});
  return id;
}

std::uint32_t UdpFlows::create(const FlowKey& key, const wire::Endpoint& target, UdpId socket,
                               Instant now) {
  const SlabHandle handle = flows_.emplace(key);
  Flow& flow = flows_.at(handle.index);
  flow.target = target;
  flow.socket = socket;
  flow.opened = now;
  flow.active = now;
  flow.timer.set_owner((std::uint64_t{timer_kind_} << 32) | handle.index);
  timers_.arm(flow.timer, now + kUnanswered);
  flow_table_.insert(key, handle.index);
  if (socket.valid()) ++sockets_.at(socket.index).flows;
  return handle.index;
}

[[gnu::noinline]] void UdpFlows::on_received(UdpId socket, const wire::Endpoint& from,
                                             const std::optional<wire::IpAddress>& local,
                                             ByteView datagrams, std::uint16_t segment_size,
                                             Turn turn) {
  const UdpSockets::Socket* owner = sockets_.find(socket);
  if (owner == nullptr) return;
  if (owner->in_guest) [[unlikely]] {
    answer_client(owner->only, {datagrams, segment_size}, turn);
    return;
  }
  std::uint32_t index = FlowTable::kNone;
  if (owner->published) {
    index = flow_of_client({socket, local.value_or(wire::IpAddress{}), from}, turn);
    if (index == FlowTable::kNone) return;
  } else if (owner->only != FlowTable::kNone) [[unlikely]] {
    index = owner->only;
    if (flows_.at(index).target != from) {
      admission_.drops().count(DropReason::kUdpUnasked);
      return;
    }
  } else {
    // At its loopback the guest sees the host's as its own.
    const wire::IpAddress seen =
        owner->guest.address.is_loopback() ? from.address : targets_.as_guest_sees(from.address);
    index = index_of({owner->guest, {seen, from.port}, wire::IpProtocol::kUdp});
    if (index == FlowTable::kNone || flows_.at(index).target != from ||
        flows_.at(index).socket != socket) {
      admission_.drops().count(DropReason::kUdpUnasked);
      return;
    }
  }
  Flow& flow = flows_.at(index);
  flow.active = turn.now;
  if (!flow.inbound && !flow.answered) {
    flow.answered = true;
    // To the end of its queue: it was idle for the shortest time.
    const bool once = flow.standing == Standing::kAskedOnce;
    set_standing(index, once ? Standing::kAskedOnce : Standing::kConfirmed);
  }
  if (flow.metered.any()) [[unlikely]] {
    const auto passing =
        meter(index, flow.metered.meter->from_host(), {datagrams, segment_size}, turn);
    if (!passing) return;
    datagrams = datagrams.first(*passing);
  }
  flow.bytes_to_guest += datagrams.size();
  if (flow.call != nullptr) [[unlikely]] {
    call_guest(index, {datagrams, segment_size}, turn);
    return;
  }
  if (flow.by_loopback) [[unlikely]] {
    turn.out.push(AnswerGuest{.listener = flow.listener,
                              .target = flow.key.guest,
                              .payload = datagrams,
                              .segment_size = segment_size});
    return;
  }
  link_.send_udp(flow.key.remote, flow.key.guest, datagrams, segment_size, turn.out);
}

std::optional<UdpFlows::Origin> UdpFlows::origin_of(UdpId socket,
                                                    const wire::Endpoint& target) const {
  const UdpSockets::Socket* owner = sockets_.find(socket);
  if (owner == nullptr || owner->guest.address.is_loopback()) return std::nullopt;
  if (owner->only != FlowTable::kNone) {
    const FlowKey& only = flows_.at(owner->only).key;
    return Origin{only.guest, only.remote};
  }
  const FlowKey key{
      owner->guest, {targets_.as_guest_sees(target.address), target.port}, wire::IpProtocol::kUdp};
  if (index_of(key) == FlowTable::kNone) return std::nullopt;
  return Origin{key.guest, key.remote};
}

[[gnu::cold]] void UdpFlows::on_open_failed(UdpId socket, Turn turn) {
  if (sockets_.find(socket) == nullptr) return;
  admission_.refuse(policy::Verdict::kNoDescriptors);
  flows_.for_each([&](SlabHandle handle, const Flow& flow) {
    if (flow.socket == socket) remove(handle.index, policy::Outcome::kUnreachable, turn);
  });
}

[[gnu::cold]] std::optional<UdpId> UdpFlows::give_up_one(Turn turn) {
  while (asked_once_.front() != IndexQueue::kNone) {
    const std::uint32_t index = asked_once_.front();
    const UdpId socket = flows_.at(index).socket;
    // Those that began in this turn want a socket themselves.
    if (flows_.at(index).opened >= turn.now) return std::nullopt;
    if (sockets_.at(socket.index).flows == 1) {
      remove(index, policy::Outcome::kMadeRoom, turn);
      return socket;
    }
    // An endpoint that wrote to several asked more than once.
    set_standing(index, Standing::kConfirmed);
  }
  return std::nullopt;
}

void UdpFlows::on_timer(std::uint32_t index, Turn turn) {
  Flow& flow = flows_.at(index);
  if (flow.standing == Standing::kAsked) {
    refuse(index, policy::Verdict::kAskTimedOut, turn);
    return;
  }
  const Instant end = flow.active + (flow.answered ? kAnswered : kUnanswered);
  if (turn.now < end) {
    timers_.arm(flow.timer, end);
    return;
  }
  remove(index, flow.answered ? policy::Outcome::kClosed : policy::Outcome::kTimedOut, turn);
}

void UdpFlows::remove(std::uint32_t index, policy::Outcome outcome, Turn turn) {
  Flow& flow = flows_.at(index);
  admission_.released(flow.side, flow.by, flow.metered);
  if (flow.call != nullptr) [[unlikely]] {
    calls_.forget_kept(*flow.call);
    calls_.hang_up(*flow.call, turn.out);
  }
  turn.out.push(ReportFlow{ended_flow(flow, outcome, turn.now)});
  const UdpId socket = flow.socket;
  if (flow.standing == Standing::kAsked) {
    admission_.answered();
    turn.out.push(WithdrawAsk{id_of(index)});
  }
  set_standing(index, Standing::kConfirmed);  // Out of the queues.
  if (flow.inbound) client_table_.erase(client_key(flow), index);
  flow_table_.erase(flow.key, index);
  flows_.erase(flows_.handle_of(index));
  if (!socket.valid()) return;
  --sockets_.at(socket.index).flows;
  if (sockets_.drop_unused(socket)) turn.out.push(CloseUdp{socket});
}

void UdpFlows::shut_down(Turn turn) {
  flows_.for_each([&](SlabHandle handle, const Flow& flow) {
    remove(handle.index, flow.answered ? policy::Outcome::kClosed : policy::Outcome::kOpen, turn);
  });
}

}  // namespace sluice::flow
