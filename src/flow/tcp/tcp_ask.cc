// TCP flows that wait for a verdict: new ones before the host is asked for a connection (Deciding),
// and those whose first bytes are judged before the host gets any of them (Gated). What the host
// sends meanwhile goes to the guest: a server may have to speak first.
#include <algorithm>
#include <utility>

#include "flow/tcp/tcp_flows.h"

namespace sluice::flow {
namespace {

// How many guests may be told at the same time why they are refused.
constexpr std::size_t kRefusedMax = 1024;
// When the host took only a part of what was let through and nothing tells that it takes more.
constexpr Duration kOfferAgain = std::chrono::milliseconds(50);

// Whether what the guest has of the host's stream leaves room for a last word of ours behind it.
[[nodiscard]] bool can_be_told(const TcpFlow& flow, const Relaying& state, const Refusal& refusal) {
  const Sender& tx = state.tx;
  return !refusal.answer.empty() && refusal.answer.size() < tx.window && tx.all_acked() &&
         !tx.peek_pending && !tx.end_seen && !flow.host_failed.has_value();
}

void ask_about_kept(TcpFlow& flow, const Receiver& rx, ActionSink& out) {
  flow.asked = true;
  out.push(AskPolicy{.flow = {wire::IpProtocol::kTcp, flow.id},
                     .key = flow.key,
                     .by = flow.by,
                     .stage = AskStage::kFirstBytes,
                     .bytes = flow.kept->all(),
                     .finished = rx.guest_finished});
}

}  // namespace

void TcpFlows::on_verdict(TcpId id, const Ruling& ruling, Turn turn) {
  TcpFlow* flow = find(id);
  if (flow == nullptr || !flow->asked) return;  // It was answered, or is another by now.
  if (auto* deciding = std::get_if<Deciding>(&flow->state)) {
    if (ruling.stage != AskStage::kNewFlow) return;
    flow->asked = false;
    admission_.answered();
    if (ruling.verdict == policy::Verdict::kAccepted) {
      flow->by.approved = true;
      const bool seen = deciding->gate == Gate::kFirstBytes;
      connect(*flow, Deciding(*deciding), seen ? deciding->gate : ruling.gate, turn);
    } else {
      refuse(*flow, {ruling.verdict}, turn);
    }
    return;
  }
  auto* gated = std::get_if<Gated>(&flow->state);
  if (gated == nullptr || ruling.stage != AskStage::kFirstBytes) return;
  flow->asked = false;
  if (ruling.verdict != policy::Verdict::kAccepted) {
    refuse(*flow, {ruling.verdict}, turn);
    return;
  }
  flow->kept->let_through();
  write_kept(*flow, *gated, turn);
}

const Way* TcpFlows::way_of(TcpId id) const {
  const TcpFlow* const flow = flows_.find(id);
  return flow == nullptr ? nullptr : flow->way.get();
}

bool ask_host(TcpFlow& flow, const wire::Endpoint& target, const FlowAdmission& admission,
              ActionSink& out) {
  if (admission.leads_any()) [[unlikely]] {
    Leading leading = find_way(admission, flow.by, flow.key);
    if (leading.kind == Leading::Kind::kNobody) return false;
    if (leading.way) flow.way = std::make_unique<Way>(std::move(*leading.way));
  }
  out.push(ConnectTcp{.flow = flow.id, .target = target, .by_way = flow.way != nullptr});
  return true;
}

// The host is asked for the connection.
void TcpFlows::connect(TcpFlow& flow, const Deciding& wanted, Gate gate, Turn turn) {
  if (gate == Gate::kFirstBytes) {
    flow.kept = std::make_unique<KeptBytes>();
    flow.room_only = true;
  }
  const bool told_only = flow.verdict != policy::Verdict::kAccepted;
  const bool named = flow.by.source == NameSource::kSynthetic;
  const bool led = admission_.leads_any() && !told_only;
  if (led && !named && flow.kept != nullptr && wanted.client_first) [[unlikely]] {
    // Whom it is for, and so by whom it is led, is in its first bytes: they come before any host.
    flow.hostless = true;
    turn.out.tell_opening(flow);
    const SynAckSent next{.guest_next = wanted.guest_isn + 1,
                          .our_isn = initial_sequence(flow.key, turn.now),
                          .host_room = KeptBytes::kMax};
    flow.state = next;
    send_syn(flow, next.our_isn, next.guest_next, turn.out);
    timers_.arm(flow.timer, turn.now + kSynResend);
    return;
  }
  // Who leads to a name finds it himself.
  if (named && !told_only && admission_.led_by(flow.by.rule) == nullptr) [[unlikely]] {
    timers_.cancel(flow.timer);
    flow.state = Finding{.guest_isn = wanted.guest_isn};
    turn.out.push(
        FindTarget{.flow = {wire::IpProtocol::kTcp, flow.id}, .key = flow.key, .by = flow.by});
    return;
  }
  flow.state = Connecting{.guest_isn = wanted.guest_isn};
  // One that is refused has no host: its first bytes are answered by us (explained_flows.h).
  if (!told_only) [[likely]]
    turn.out.tell_opening(flow);
  if (!led) [[likely]] {
    turn.out.push(ConnectTcp{flow.id, wanted.target});
  } else if (!ask_host(flow, wanted.target, admission_, turn.out)) {
    on_connect_failed(flow.id, HostError::kWayFailed, turn);
  }
}

// Ends a flow that had begun: nothing of what waited goes on. Where the guest can be told why, only
// its host's side is reset.
[[gnu::cold]] void TcpFlows::refuse(TcpFlow& flow, Refusal refusal, Turn turn) {
  flow.verdict = admission_.refuse(refusal.verdict);
  if (refusal.by != NamedBy{}) admission_.rename(flow.by, refusal.by);
  Relaying* state = standing(flow);
  if (state == nullptr || refused_ >= kRefusedMax || !can_be_told(flow, *state, refusal)) {
    abort(flow, policy::Outcome::kNotAccepted, turn);
    return;
  }
  turn.out.push(CloseTcp{flow.id, true});
  report(flow, policy::Outcome::kNotAccepted, turn);
  spill_.promise(state->rx.promised, 0);
  release_kept(flow);
  Refused refused{.guest_next = state->rx.received,
                  .acked = state->tx.sent,
                  .answer = std::move(refusal.answer)};
  refused.send({flow.key, link_, flow.guest.mss}, turn.out);
  flow.state = std::move(refused);
  ++refused_;
  timers_.arm(flow.timer, turn.now + kSynResend);
}

[[gnu::cold]] bool TcpFlows::keep_data(TcpFlow& flow, Relaying& state, const wire::TcpView& segment,
                                       Turn turn) {
  Receiver& rx = state.rx;
  KeptBytes& kept = *flow.kept;
  flow.ack_due = true;
  const auto piece =
      rx.trim(segment.sequence(), segment.payload(), segment.flags().fin(), admission_.drops());
  if (!piece) return true;
  if (piece->ahead > 0 || (kept.is_let_through() && flow.watched != nullptr)) {
    // What is judged has no gaps, and what follows on it is judged once the host has it. The guest
    // sends it again.
    admission_.drops().count(DropReason::kTcpBufferFull);
    send_ack(flow, state, turn.out);
    return true;
  }
  if (!kept.has_begun()) {
    if (keeping_ >= KeptBytes::kFlowsMax) {
      refuse(flow, {policy::Verdict::kFirstBytesFull}, turn);
      return false;
    }
    ++keeping_;
    kept.begin();
    kept.until = turn.now + admission_.ask().first_bytes_within;
    arm(flow, kept.until);
  }
  // Each rounding up of a window that was told lets the guest send a little more.
  const ByteView bytes = piece->bytes.first(std::min(piece->bytes.size(), kept.room()));
  if (!bytes.empty()) {
    kept.add(bytes);
    rx.advance(static_cast<std::uint32_t>(bytes.size()));
    rx.host_room -= std::min(rx.host_room, static_cast<std::uint32_t>(bytes.size()));
  }
  if (bytes.size() < piece->bytes.size()) {
    admission_.drops().count(DropReason::kTcpBufferFull);
  } else {
    rx.note_fin(piece->fin);
  }
  return true;
}

void TcpFlows::end_gated_burst(TcpFlow& flow, Turn turn) {
  auto* state = std::get_if<Gated>(&flow.state);
  if (state == nullptr) return;
  auto& [rx, tx] = state->relaying;
  if (flow.ack_due) send_ack(flow, state->relaying, turn.out);
  if (!flow.kept->is_let_through() && flow.kept->take_news(rx.guest_finished)) {
    if (claims_ != nullptr) {
      if (!judge_kept(flow, *state, turn)) return;
    } else {
      ask_about_kept(flow, rx, turn.out);
    }
  }
  discard_acked(flow, tx, turn.out);
  request_data(flow, tx, turn);
  if (flow.host_failed) end_failed(flow, tx, turn);
}

// Offers the host what it has not taken yet of what was let through.
void TcpFlows::write_kept(TcpFlow& flow, Gated& state, Turn turn) {
  KeptBytes& kept = *flow.kept;
  const ByteView rest = kept.rest();
  if (rest.empty()) {
    open_gate(flow, state, turn);
    return;
  }
  kept.until = turn.now + kOfferAgain;
  arm(flow, kept.until);
  const std::uint32_t range = turn.out.next_range();
  turn.out.add_range(rest);
  turn.out.push(
      WriteTcp{flow.id, kept.taken(), kept.taken() + rest.size(), range, lane_to_host(flow)});
}

void TcpFlows::written_gated(TcpFlow& flow, const TcpWritten& written, Turn turn) {
  auto* state = std::get_if<Gated>(&flow.state);
  if (state == nullptr || !flow.kept->is_let_through()) return;
  KeptBytes& kept = *flow.kept;
  if (!flow.host_failed) flow.bytes_to_host += written.taken;
  if (written.taken > 0) flow.moved = turn.now;
  kept.take(written.taken);
  kept.host_room = written.room;
  state->relaying.rx.buffered = written.buffered;
  if (kept.rest().empty()) open_gate(flow, *state, turn);
}

// From here on the flow is as any other.
void TcpFlows::open_gate(TcpFlow& flow, Gated& state, Turn turn) {
  Relaying relaying = std::move(state.relaying);
  relaying.rx.host_room = flow.kept->host_room;
  release_kept(flow);
  flow.room_only = false;
  flow.state = std::move(relaying);
  flow.ack_due = true;  // The window is another now.
  end_flow_burst(flow, turn);
}

// Actions that are not carried out yet may borrow the bytes.
void TcpFlows::release_kept(TcpFlow& flow) {
  if (flow.kept != nullptr && flow.kept->has_begun()) {
    --keeping_;
    parting_.push_back(flow.kept->release());
  }
  flow.kept.reset();
  if (flow.watched != nullptr && flow.watched->until != kNever) {
    --keeping_;
    flow.watched->until = kNever;
  }
}

void TcpFlows::timer_gated(TcpFlow& flow, Gated& state, Turn turn) {
  const KeptBytes& kept = *flow.kept;
  if (turn.now >= kept.until) {
    if (!kept.is_let_through()) {
      refuse(flow, {policy::Verdict::kFirstBytesTimedOut}, turn);
      return;
    }
    write_kept(flow, state, turn);
  }
  const TcpId id = flow.id;
  timer_relaying(flow, state.relaying, turn);
  if (TcpFlow* still = find(id)) arm(*still, still->kept->until);
}

}  // namespace sluice::flow
