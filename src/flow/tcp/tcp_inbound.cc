// How TCP flows of published ports begin: a client's connection, our SYN, and the guest's answer.
#include "flow/core/loopback_servers.h"
#include "flow/tcp/tcp_flows.h"
#include "flow/tcp/tcp_loopback.h"

namespace sluice::flow {
namespace {

[[nodiscard]] bool is_half_open(const TcpState& state) {
  return std::holds_alternative<SynSent>(state) || std::holds_alternative<Joining>(state);
}

}  // namespace

std::expected<TcpId, policy::Verdict> TcpFlows::on_inbound(const wire::Endpoint& client,
                                                           const wire::Endpoint& guest,
                                                           std::uint32_t room, Turn turn) {
  FlowKey key{{link_.taken_for(guest.address), guest.port},
              {targets_.as_guest_sees(client.address), client.port},
              wire::IpProtocol::kTcp};
  if (!find_free_name(key))
    return std::unexpected(admission_.refuse(policy::Verdict::kTooManyFlows));
  constexpr auto kSide = policy::FlowSide::kInboundStream;
  const bool full = !admission_.has_room(kSide);
  // It has its place before another one leaves: the driver, which knows connections by their
  // places, gets the new one before it closes the old one.
  TcpId id;
  TcpFlow& flow = create(key, id, turn.now);
  if (full) drop_half_open(turn);
  const policy::Verdict verdict = admission_.admit_unasked(kSide, turn.now, flow.metered);
  if (verdict != policy::Verdict::kAccepted) {
    table_.erase(key, id.index);
    flows_.erase(id);
    return std::unexpected(verdict);
  }
  flow.inbound = true;
  half_open_.push_back(id);
  const bool may_call = call_guest_ != policy::LoopbackUse::kNever &&
                        client.address.is_loopback() && targets_.is_guest(guest.address) &&
                        !leads_out(lead_out_, policy::Protocol::kTcp, guest.port);
  const wire::Endpoint server{wire::IpAddress::loopback(guest.address.family()), guest.port};
  if (may_call && calls_first(call_guest_, loopback_servers_, server, turn.now)) {
    call_guest(flow, {.host_room = room, .server = server}, timers_, turn);
  } else {
    ask_guest(flow, room, turn);
    std::get<SynSent>(flow.state).may_call = may_call;
  }
  return id;
}

// Behind the gateway's address several clients may share a port number. Where workers share the
// guest, the name must be one whose frames come to this one.
bool TcpFlows::find_free_name(FlowKey& key) const {
  const std::uint32_t tries_max = TargetMap::kPortTries * share_.owner.workers();
  for (std::uint32_t tries = 0;
       index_of(key) != FlowTable::kNone || !share_.has_tcp(key.guest.port, key.remote); ++tries) {
    if (tries == tries_max) return false;
    key.remote.port = TargetMap::next_port(key.remote.port);
  }
  return true;
}

void TcpFlows::ask_guest(TcpFlow& flow, std::uint32_t room, Turn turn) {
  const SynSent state{.our_isn = initial_sequence(flow.key, turn.now), .host_room = room};
  flow.state = state;
  send_syn(flow, state.our_isn, std::nullopt, turn.out);
  timers_.arm(flow.timer, turn.now + kSynResend);
}

// The connection that has waited longest for the guest to take it makes room for a newer one. Those
// that it took since are forgotten on the way.
void TcpFlows::drop_half_open(Turn turn) {
  while (!half_open_.empty()) {
    const TcpId id = half_open_.front();
    half_open_.pop_front();
    const TcpFlow* flow = find(id);
    if (flow == nullptr || !is_half_open(flow->state)) continue;
    turn.out.push(CloseTcp{id, true});
    remove(id, policy::Outcome::kMadeRoom, turn);
    return;
  }
}

// Nobody listens there. A client of the host's loopback called "localhost", which is both families;
// the guest's server may have chosen the other one, and both have an address for that.
bool TcpFlows::retry_other_family(TcpFlow& flow, const SynSent& state, Turn turn) {
  if (state.other_family || !targets_.stands_for_loopback(flow.key.remote.address)) return false;
  const auto ends = targets_.in_other_family(link_.meant_by(flow.key.guest.address));
  if (!ends) return false;
  FlowKey key{{link_.taken_for(ends->guest), flow.key.guest.port},
              {ends->host, flow.key.remote.port},
              wire::IpProtocol::kTcp};
  if (!find_free_name(key)) return false;
  table_.erase(flow.key, flow.id.index);
  flow.key = key;
  table_.insert(key, flow.id.index);
  const bool may_call = state.may_call;
  ask_guest(flow, state.host_room, turn);
  auto& asked = std::get<SynSent>(flow.state);
  asked.other_family = true;
  asked.may_call = may_call;
  return true;
}

void TcpFlows::segment_syn_sent(TcpFlow& flow, SynSent& state, const wire::TcpView& segment,
                                Turn turn) {
  const wire::TcpFlags flags = segment.flags();
  const bool ours = flags.ack() && segment.acknowledgment() == state.our_isn + 1;
  if (flags.rst()) {
    if (!ours || retry_other_family(flow, state, turn)) return;
    if (state.may_call) {
      call_guest(flow, after_refusal(flow.key.guest, state), timers_, turn);
      return;
    }
    turn.out.push(CloseTcp{flow.id, true});
    remove(flow.id, policy::Outcome::kRefused, turn);
    return;
  }
  if (!flags.syn() || !ours) {
    admission_.drops().count(DropReason::kTcpBadAck);
    // RFC 9293, 3.10.7.3: an old connection of the same name is told that it is gone.
    if (flags.ack()) send_reset(flow.key, segment.acknowledgment(), std::nullopt, turn.out);
    return;
  }
  const std::uint32_t room = state.host_room;
  flow.guest =
      GuestTcpOptions::read(segment, link_.segment_size_max(flow.key.guest.address.family()));
  // RFC 7323, 2.2: the window of a handshake is never scaled.
  Relaying& relaying = establish(
      flow, {segment.sequence() + 1, state.our_isn + 1, segment.window()}, segment, turn.now);
  relaying.rx.host_room = room;
  relaying.rx.window_edge = relaying.rx.received;
  turn.out.tell_opening(flow);
  send_ack(flow, relaying, turn.out);
  touch(flow);
}

}  // namespace sluice::flow
