// How TCP flows of the guest begin: its SYN and the host's connect; and what belongs to no flow.
#include <algorithm>
#include <utility>

#include "flow/tcp/tcp_flows.h"
#include "flow/tcp/tcp_loopback.h"
#include "trace/probe.h"

namespace sluice::flow {
namespace {

// What an address is given to answer before the next is tried, if there is one. RFC 8305 would go
// on with both; one that answers later than this is given up.
constexpr Duration kPatience = std::chrono::seconds(1);

}  // namespace

[[gnu::cold]] bool dial_next(TcpFlow& flow, wire::SeqNum guest_isn, TimerWheel& timers, Turn turn) {
  if (flow.dialing == nullptr || !flow.dialing->has_more()) return false;
  if (has_socket(flow.state)) turn.out.push(CloseTcp{flow.id, true});
  flow.state = Connecting{.guest_isn = guest_isn};
  turn.out.push(ConnectTcp{flow.id, flow.dialing->targets[flow.dialing->next++]});
  if (flow.dialing->has_more()) {
    timers.arm(flow.timer, turn.now + kPatience);
  } else {
    timers.cancel(flow.timer);
  }
  return true;
}

[[gnu::noinline]] void TcpFlows::on_syn(const FlowKey& key, const TcpArrival& arrival, Turn turn) {
  const auto& [packet, segment] = arrival;
  const auto reset = [&] { send_reset(key, wire::SeqNum{0}, segment.sequence() + 1, turn.out); };
  // A guest that hears nothing, as errors are being sent too often, tries for minutes.
  const auto fail = [&](IcmpErrorKind kind) {
    if (!link_.send_error(kind, packet, turn)) reset();
  };
  const Target target = targets_.target_of(key.remote);
  const bool ours = target.kind == TargetKind::kDnsRelay || target.kind == TargetKind::kPages;
  if (target.kind == TargetKind::kUnreachable) {
    admission_.refuse(policy::Verdict::kNotRoutable);
    fail(IcmpErrorKind::kHostUnreachable);
    return;
  }
  if (target.kind != TargetKind::kHost && !ours) {
    reset();
    return;
  }
  const Admitted admitted =
      ours ? Admitted::of(admission_.admit_unjudged(policy::FlowSide::kOutbound, turn.now))
           : admission_.judge(policy::Protocol::kTcp, key.remote, turn.now);
  if (admitted.answer == Admitted::Answer::kRefused) {
    if (admitted.prohibited) {
      fail(IcmpErrorKind::kProhibited);
    } else {
      reset();
    }
    turn.out.push(ReportFlow{refused_flow(key, admitted.verdict, admitted.by, turn.now)});
    return;
  }
  TcpId id;
  TcpFlow& flow = create(key, id, turn.now);
  flow.guest = GuestTcpOptions::read(segment, link_.segment_size_max(packet.family));
  flow.room_only = ours;
  flow.by = admitted.by;
  flow.metered = admitted.metered;
  flow.verdict = admitted.verdict;
  const Deciding wanted{segment.sequence(), ours ? key.remote : target.endpoint, admitted.gate,
                        admitted.client_first};
  if (admitted.answer == Admitted::Answer::kAllowed) [[likely]] {
    connect(flow, wanted, admitted.gate, turn);
    return;
  }
  flow.state = wanted;
  flow.asked = true;
  timers_.arm(flow.timer, turn.now + admission_.ask().answer_within);
  turn.out.push(AskPolicy{.flow = {wire::IpProtocol::kTcp, id}, .key = key, .by = flow.by});
}

// RFC 9293, 3.10.7.1: anything but a RST is answered with one that the sender will believe.
[[gnu::cold]] void TcpFlows::on_unknown(const FlowKey& key, const wire::TcpView& segment,
                                        ActionSink& out) {
  admission_.drops().count(DropReason::kTcpUnknownFlow);
  const wire::TcpFlags flags = segment.flags();
  if (flags.rst()) return;
  if (flags.ack()) {
    send_reset(key, segment.acknowledgment(), std::nullopt, out);
    return;
  }
  const auto length = static_cast<std::uint32_t>(segment.payload().size()) +
                      (flags.syn() ? 1U : 0U) + (flags.fin() ? 1U : 0U);
  send_reset(key, wire::SeqNum{0}, segment.sequence() + length, out);
}

// Before the guest has an answer to its SYN.
void TcpFlows::segment_unanswered(TcpFlow& flow, wire::SeqNum isn, const TcpArrival& arrival,
                                  Turn turn) {
  const wire::TcpView& segment = arrival.segment;
  const wire::TcpFlags flags = segment.flags();
  const bool same_start = segment.sequence() == isn;
  if (flags.rst()) {
    if (segment.sequence() != isn + 1 && !same_start) return;
    if (has_socket(flow.state)) turn.out.push(CloseTcp{flow.id, true});
    remove(flow.id, policy::Outcome::kResetByGuest, turn);
  } else if (flags.syn() && !flags.ack() && !same_start) {
    // The guest gave up and uses the port again.
    reopen(flow, arrival, turn);
  } else {
    admission_.drops().count(DropReason::kTcpDuplicateSyn);
  }
}

void TcpFlows::segment_syn_ack_sent(TcpFlow& flow, SynAckSent& state, const TcpArrival& arrival,
                                    Turn turn) {
  const wire::TcpView& segment = arrival.segment;
  const wire::TcpFlags flags = segment.flags();
  if (flags.rst()) {
    if (segment.sequence() != state.guest_next) {
      admission_.drops().count(DropReason::kTcpChallenged);
      return;
    }
    turn.out.push(CloseTcp{flow.id, true});
    remove(flow.id, policy::Outcome::kResetByGuest, turn);
    return;
  }
  if (flags.syn()) {
    if (segment.sequence() + 1 == state.guest_next && !flags.ack()) {
      admission_.drops().count(DropReason::kTcpDuplicateSyn);
      SLUICE_PROBE(retransmit, flow.id.index, 0, 0);
      send_syn(flow, state.our_isn, state.guest_next, turn.out);
    } else if (!flags.ack()) {
      reopen(flow, arrival, turn);
    }
    return;
  }
  if (!flags.ack()) return;
  if (segment.acknowledgment() != state.our_isn + 1) {
    admission_.drops().count(DropReason::kTcpBadAck);
    send_reset(flow.key, segment.acknowledgment(), std::nullopt, turn.out);
    return;
  }
  const std::uint32_t room = state.host_room;
  Relaying& relaying =
      establish(flow, {state.guest_next, state.our_isn + 1, flow.guest.window_of(segment)}, segment,
                turn.now);
  relaying.rx.host_room = room;
  relaying.rx.window_edge = relaying.rx.received + std::min<std::uint32_t>(room, 0xffff);
  touch(flow);
  Relaying* stands = &relaying;
  if (flow.kept != nullptr) [[unlikely]] {
    Gated gated{std::move(relaying)};
    stands = &flow.state.emplace<Gated>(std::move(gated)).relaying;
  }
  if (!segment.payload().empty() || flags.fin()) segment_relaying(flow, *stands, segment, turn);
}

// The last ACK of ours may have been lost: a repeated FIN is answered again.
void TcpFlows::segment_lingering(TcpFlow& flow, Lingering& state, const TcpArrival& arrival,
                                 Turn turn) {
  const wire::TcpView& segment = arrival.segment;
  const wire::TcpFlags flags = segment.flags();
  if (flags.rst()) {
    remove(flow.id, policy::Outcome::kClosed, turn);
    return;
  }
  // RFC 9293, 3.6.1: a new connection may begin above the old one's numbers.
  if (flags.syn() && !flags.ack() && segment.sequence() > state.guest_next) {
    reopen(flow, arrival, turn);
    return;
  }
  if (!flags.fin() && segment.payload().empty() && !flags.syn()) return;
  link_.send_tcp({.source = flow.key.remote,
                  .destination = flow.key.guest,
                  .sequence = state.our_next,
                  .acknowledgment = state.guest_next,
                  .flags = wire::kAck,
                  .payload = {}},
                 turn.out);
}

void TcpFlows::reopen(TcpFlow& flow, const TcpArrival& arrival, Turn turn) {
  const FlowKey key = flow.key;
  if (has_socket(flow.state)) turn.out.push(CloseTcp{flow.id, true});
  remove(flow.id, policy::Outcome::kResetByGuest, turn);
  on_syn(key, arrival, turn);
}

Relaying& TcpFlows::establish(TcpFlow& flow, const Agreed& agreed, const wire::TcpView& segment,
                              Instant now) {
  auto& state = flow.state.emplace<Relaying>();
  state.rx.received = agreed.guest_next;
  state.rx.acknowledged = agreed.guest_next;
  state.tx.head = agreed.our_next;
  state.tx.acked = agreed.our_next;
  state.tx.sent = agreed.our_next;
  state.tx.window_seq = segment.sequence();
  state.tx.window_ack = agreed.our_next;
  state.tx.window = agreed.window;
  state.tx.progress_at = now;
  timers_.arm(flow.timer, now + options_.idle_limit);
  return state;
}

void TcpFlows::on_connected(TcpId id, std::uint32_t room, Turn turn) {
  TcpFlow* flow = find(id);
  if (flow == nullptr) return;
  const auto* connecting = std::get_if<Connecting>(&flow->state);
  if (connecting == nullptr) {
    if (std::holds_alternative<Joining>(flow->state)) {
      table_.erase(flow->key, id.index);
      join(*flow, timers_, turn.now + options_.idle_limit, turn);
      return;
    }
    auto* const gated = std::get_if<Gated>(&flow->state);
    if (gated == nullptr || !std::exchange(flow->hostless, false)) return;
    flow->kept->host_room = room;
    flow->active = turn.now;
    write_kept(*flow, *gated, turn);
    return;
  }
  SLUICE_PROBE(connect_done, id.index, 0, 0);
  SynAckSent next{.guest_next = connecting->guest_isn + 1,
                  .our_isn = initial_sequence(flow->key, turn.now),
                  .host_room = room};
  if (flow->kept != nullptr) [[unlikely]] {
    flow->kept->host_room = room;
    next.host_room = KeptBytes::kMax;
  }
  flow->state = next;
  flow->active = turn.now;
  send_syn(*flow, next.our_isn, next.guest_next, turn.out);
  SLUICE_PROBE(syn_ack_queued, id.index, 0, 0);
  timers_.arm(flow->timer, turn.now + kSynResend);
}

[[gnu::cold]] void TcpFlows::on_connect_failed(TcpId id, HostError error, Turn turn) {
  TcpFlow* flow = find(id);
  if (flow == nullptr) return;
  const auto* connecting = std::get_if<Connecting>(&flow->state);
  if (connecting == nullptr) {
    if (std::holds_alternative<Joining>(flow->state)) {
      const bool timed_out = error == HostError::kTimedOut;
      abort(*flow, timed_out ? policy::Outcome::kTimedOut : policy::Outcome::kRefused, turn);
      return;
    }
    if (!flow->hostless) return;
    if (error == HostError::kWayFailed) {
      const Judged judged{.verdict = policy::Verdict::kViaFailed, .by = flow->by};
      const RefusalWords words =
          watching_ == nullptr ? RefusalWords{} : watching_->words_of(flow->key, judged);
      refuse(*flow, refusal_of_way(flow->watched != nullptr, words), turn);
    } else {
      const bool timed_out = error == HostError::kTimedOut;
      abort(*flow, timed_out ? policy::Outcome::kTimedOut : policy::Outcome::kRefused, turn);
    }
    return;
  }
  SLUICE_PROBE(connect_done, id.index, static_cast<int>(error) + 1, 0);
  const FlowKey key = flow->key;
  const wire::SeqNum isn = connecting->guest_isn;
  if (error != HostError::kNoDescriptors && dial_next(*flow, isn, timers_, turn)) return;
  const auto reset = [&] { send_reset(key, wire::SeqNum{0}, isn + 1, turn.out); };
  const auto fail = [&](IcmpErrorKind kind) {
    if (!link_.send_error({.kind = kind}, LostPacket::syn(key.guest, key.remote, isn), turn)) {
      reset();
    }
  };
  policy::Outcome outcome = policy::Outcome::kUnreachable;
  switch (error) {
    case HostError::kNetUnreachable: fail(IcmpErrorKind::kNetUnreachable); break;
    case HostError::kHostUnreachable: fail(IcmpErrorKind::kHostUnreachable); break;
    case HostError::kProhibited: fail(IcmpErrorKind::kProhibited); break;
    case HostError::kTimedOut:
      // The guest's own SYN runs out at the same time; any answer would change its errno.
      outcome = policy::Outcome::kTimedOut;
      break;
    case HostError::kNoDescriptors:
      admission_.refuse(policy::Verdict::kNoDescriptors);
      reset();
      break;
    case HostError::kWayFailed:
      outcome = policy::Outcome::kNotAccepted;
      flow->verdict = admission_.refuse(policy::Verdict::kViaFailed);
      reset();
      break;
    case HostError::kRefused:
    case HostError::kReset:
    case HostError::kResetAfterEnd:
    case HostError::kOther:
      outcome = policy::Outcome::kRefused;
      reset();
      break;
  }
  turn.out.push(CloseTcp{id, true});
  remove(id, outcome, turn);
}

// An address that stands for a name leads there.
[[gnu::cold]] void TcpFlows::on_found(TcpId id, const FoundTarget& found, Turn turn) {
  TcpFlow* flow = find(id);
  if (flow == nullptr) return;
  const auto* state = std::get_if<Finding>(&flow->state);
  if (state == nullptr) return;
  const wire::SeqNum isn = state->guest_isn;
  if (!found.targets.empty()) {
    flow->dialing = std::make_unique<Dialing>();
    flow->dialing->targets.assign(found.targets.begin(), found.targets.end());
    (void)dial_next(*flow, isn, timers_, turn);
    turn.out.tell_opening(*flow);
    return;
  }
  const bool refused = found.verdict != policy::Verdict::kAccepted;
  const auto kind = refused ? IcmpErrorKind::kProhibited : IcmpErrorKind::kHostUnreachable;
  link_.send_error({.kind = kind}, LostPacket::syn(flow->key.guest, flow->key.remote, isn), turn);
  send_reset(flow->key, wire::SeqNum{0}, isn + 1, turn.out);  // As where people have refused it.
  if (refused) flow->verdict = admission_.refuse(found.verdict);
  remove(id, refused ? policy::Outcome::kNotAccepted : policy::Outcome::kUnreachable, turn);
}

[[gnu::cold]] void TcpFlows::give_up(TcpId id, Turn turn) {
  TcpFlow* flow = find(id);
  if (flow == nullptr || is_over(flow->state)) return;
  (void)admission_.refuse(flow->verdict);
  abort(*flow, policy::Outcome::kNotAccepted, turn);
}

// A SYN to a listener of the guest, or with `guest_next` the SYN-ACK to its own.
void TcpFlows::send_syn(const TcpFlow& flow, wire::SeqNum our_isn,
                        std::optional<wire::SeqNum> guest_next, ActionSink& out) const {
  const bool answer = guest_next.has_value();
  wire::TcpOptions options;
  options.mss = link_.segment_size_max(flow.key.guest.address.family());
  // RFC 7323, 2.2 and RFC 2018, 2: in a SYN-ACK only what the SYN offered.
  if (!answer || flow.guest.scaled) options.window_scale = kTcpWindowScale;
  options.sack_permitted = !answer || flow.guest.sack;
  std::uint32_t room = 0xffff;
  if (const auto* state = std::get_if<SynAckSent>(&flow.state)) {
    room = std::min<std::uint32_t>(room, state->host_room);
  }
  link_.send_tcp({.source = flow.key.remote,
                  .destination = flow.key.guest,
                  .sequence = our_isn,
                  .acknowledgment = guest_next.value_or(wire::SeqNum{}),
                  .flags = answer ? wire::kSyn | wire::kAck : wire::kSyn,
                  .window = static_cast<std::uint16_t>(room),
                  .options = &options,
                  .payload = {}},
                 out);
}

[[gnu::cold]] void TcpFlows::send_reset(const FlowKey& key, wire::SeqNum sequence,
                                        std::optional<wire::SeqNum> acknowledgment,
                                        ActionSink& out) const {
  link_.send_tcp({.source = key.remote,
                  .destination = key.guest,
                  .sequence = sequence,
                  .acknowledgment = acknowledgment.value_or(wire::SeqNum{}),
                  .flags = acknowledgment ? wire::kRst | wire::kAck : wire::kRst,
                  .payload = {}},
                 out);
}

}  // namespace sluice::flow
