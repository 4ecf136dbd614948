// Guest to host: which bytes of a segment count, and what the guest is offered next.
#include <algorithm>

#include "flow/tcp/tcp_flows.h"
#include "trace/probe.h"

namespace sluice::flow {
namespace {

// The spill hands out blocks, so a stash may cost this much more than its bytes.
constexpr std::size_t kSpillSlack = 32 * 1024;
// A flow may be promised this much of the spill beyond what its host socket takes. The overshoot is
// wanted: the kernel grows a socket's send buffer only after a write found it full.
constexpr std::size_t kSpillShareMax = 128 * 1024;
// A share is this part of what nobody was promised yet: those who come late get less, and there is
// always something left.
constexpr std::size_t kSharesInAll = 512;
// Before it has carried so much a flow fits what a fresh socket takes: idle ones hold no promise.
constexpr std::uint64_t kShareAfter = 64 * 1024;
// What a window must open by to be told at once, at most.
constexpr std::uint32_t kStepMax = 8 * 1024;

}  // namespace

[[gnu::noinline]] void TcpFlows::segment_relaying(std::uint32_t index, TcpFlow& flow,
                                                  Relaying& state, const wire::TcpView& segment,
                                                  Turn turn) {
  const wire::TcpFlags flags = segment.flags();
  if ((flags.bits & (wire::TcpFlags::kSyn | wire::TcpFlags::kRst)) != 0) [[unlikely]] {
    segment_control(index, flow, state, segment, turn);
    return;
  }
  if (!flags.ack()) {
    admission_.drops().count(DropReason::kMalformed);
    return;
  }
  touch(flow, index);
  const ByteView payload = segment.payload();
  if (!payload.empty() || flags.fin()) {
    receive_data(index, flow, state, segment.sequence(), payload, flags.fin(), turn.out);
  } else if (segment.sequence() < state.received) [[unlikely]] {
    receive_old_number(index, flow, state, segment.sequence(), turn.out);
  }
  receive_ack(index, flow, state, segment, turn);
}

// A keep-alive (RFC 9293, 3.8.4) is the other end's to answer. With its window closed the guest
// asks in the same way for news of that, which only we have.
[[gnu::cold]] void TcpFlows::receive_old_number(std::uint32_t index, TcpFlow& flow,
                                                const Relaying& state, wire::SeqNum sequence,
                                                ActionSink& out) {
  const bool open = state.window_edge - state.received >= std::int32_t{flow.guest.mss};
  if (sequence == state.received - 1 && (open || state.guest_finished)) {
    out.push(ProbeTcp{id_of(index), flow.lull});
  } else {
    flow.ack_due = true;
  }
}

void TcpFlows::on_probed(TcpId id, bool answers, ActionSink& out) {
  TcpFlow* flow = find(id);
  if (flow == nullptr || !answers) return;
  if (auto* state = std::get_if<Relaying>(&flow->state)) send_ack(id.index, *flow, *state, out);
}

// RFC 5961, 3 and 4: a RST counts only at the exact number we expect, a SYN never does; anything
// near is challenged with an ACK, to which a peer that meant it will answer with the right RST.
[[gnu::cold]] void TcpFlows::segment_control(std::uint32_t index, TcpFlow& flow, Relaying& state,
                                             const wire::TcpView& segment, Turn turn) {
  const wire::SeqNum sequence = segment.sequence();
  if (segment.flags().rst()) {
    if (sequence == state.received) {
      // What came before it is passed on before it.
      if (flow.range_first != kNoRange) {
        if (!flow.host_failed) flow.bytes_to_host += state.stream_offset - flow.write_offset;
        write_burst(id_of(index), flow, state, turn.out);
      }
      // Without an ACK it is the answer of a kernel that knows of no such connection. The host is
      // told when it sends something, as that kernel would.
      const bool forgotten =
          !segment.flags().ack() && state.host_shut && !state.fin_sent && state.acked == state.sent;
      turn.out.push(CloseTcp{id_of(index), !forgotten, forgotten});
      remove(id_of(index), policy::Outcome::kResetByGuest, turn);
      return;
    }
    admission_.drops().count(DropReason::kTcpChallenged);
    if (sequence < state.received || sequence > state.window_edge) return;
  } else {
    admission_.drops().count(DropReason::kTcpChallenged);
  }
  flow.ack_due = true;
  touch(flow, index);
}

void TcpFlows::receive_data(std::uint32_t index, TcpFlow& flow, Relaying& state,
                            wire::SeqNum sequence, ByteView payload, bool fin, ActionSink& out) {
  flow.ack_due = true;
  std::int32_t ahead = sequence - state.received;
  if (state.guest_finished) {
    const auto length = static_cast<std::int32_t>(payload.size()) + (fin ? 1 : 0);
    if (ahead + length > 0) admission_.drops().count(DropReason::kTcpAfterClose);
    return;
  }
  if (ahead < 0) {  // A repeat: what is old is trimmed.
    const auto old = static_cast<std::size_t>(-static_cast<std::int64_t>(ahead));
    if (old > payload.size() || (old == payload.size() && !fin)) {
      admission_.drops().count(DropReason::kTcpOutsideWindow);
      return;
    }
    payload = payload.subspan(old);
    ahead = 0;
  }
  const std::uint32_t space = distance(state.received, state.window_edge);
  const auto first = static_cast<std::uint32_t>(ahead);
  if (first + payload.size() > space) {
    fin = false;
    if (first >= space) {
      admission_.drops().count(DropReason::kTcpOutsideWindow);
      return;
    }
    payload = payload.first(space - first);
  }
  if (ahead > 0) [[unlikely]] {
    receive_early(index, flow, state, first, payload, fin, out);
    return;
  }
  if (!payload.empty() && !append(index, flow, state, payload, out)) return;
  const bool fin_was_early =
      state.loss != nullptr && state.loss->early_fin && *state.loss->early_fin == state.received;
  if (fin || fin_was_early) {
    state.guest_finished = true;
    state.received += 1;
  }
}

// False when it found no room.
bool TcpFlows::append(std::uint32_t index, TcpFlow& flow, Relaying& state, ByteView payload,
                      ActionSink& out) {
  auto length = static_cast<std::uint32_t>(payload.size());
  if (flow.answered) {
    flow.answered = false;
    ++flow.turns;
  }
  if (flow.range_first == kNoRange) {
    flow.range_first = out.add_range(payload);
    flow.range_last = flow.range_first;
    flow.write_offset = state.stream_offset;
    flow.range_bytes = length;
  } else if (flow.write_offset + flow.range_bytes == state.stream_offset) [[likely]] {
    const std::uint32_t range = out.add_range(payload);
    out.link_range(flow.range_last, range);
    flow.range_last = range;
    flow.range_bytes += length;
  } else if (!stash(index, state.stream_offset, payload, out)) {
    return false;  // Stashed bytes lie behind the chain, so these have to wait behind them.
  }
  if (state.loss != nullptr && !state.loss->stashed.empty()) [[unlikely]] {
    // What waited behind the gap follows at once.
    const wire::SeqNum end = state.loss->stashed.end_of_range_at(state.received + length);
    length = distance(state.received, end);
    state.loss->stashed.trim(end);
  }
  state.received += length;
  state.stream_offset += length;
  return true;
}

[[gnu::cold]] bool TcpFlows::stash(std::uint32_t index, std::uint64_t offset, ByteView payload,
                                   ActionSink& out) {
  const std::size_t cost = payload.size() + kSpillSlack;
  if (spill_free_ < stash_reserved_ + cost) {
    admission_.drops().count(DropReason::kTcpBufferFull);
    return false;
  }
  stash_reserved_ += cost;  // The driver may count anew what is free before it comes to this one.
  out.push(StashTcp{id_of(index), offset, payload});
  return true;
}

[[gnu::cold]] void TcpFlows::on_stashed(TcpId id, std::size_t asked, std::size_t taken) {
  stash_reserved_ -= std::min(stash_reserved_, asked + kSpillSlack);
  if (taken == asked) return;
  // RFC 2018, 8: what was SACKed may be dropped yet. If the gap has closed meanwhile, the answer to
  // the write tells how far the bytes go.
  TcpFlow* flow = find(id);
  auto* state = flow == nullptr ? nullptr : std::get_if<Relaying>(&flow->state);
  if (state == nullptr) return;
  admission_.drops().count(DropReason::kTcpBufferFull);
  if (state->loss != nullptr) state->loss->stashed.clear();
}

[[gnu::cold]] void TcpFlows::receive_early(std::uint32_t index, TcpFlow& flow, Relaying& state,
                                           std::uint32_t ahead, ByteView payload, bool fin,
                                           ActionSink& out) {
  if (state.loss == nullptr) state.loss = std::make_unique<LossState>();
  const wire::SeqNum left = state.received + ahead;
  const wire::SackBlock block{left, left + static_cast<std::uint32_t>(payload.size())};
  if (fin) state.loss->early_fin = block.right;
  if (!payload.empty()) {
    state.loss->newest = left;
    // Bytes may be stashed without being remembered; remembered ones must be stashed.
    if (stash(index, state.stream_offset + ahead, payload, out) &&
        !state.loss->stashed.insert(block)) {
      admission_.drops().count(DropReason::kTcpBufferFull);
    }
  }
  // RFC 5681, 4.2: at once, so that the guest counts its duplicates.
  send_ack(index, flow, state, out);
}

// Of the spill, for a flow whose host has taken all so far. An eighth is kept for hosts that take
// less than their kernel had room for.
std::size_t TcpFlows::spill_share(const TcpFlow& flow, const Relaying& state) const {
  if (flow.bytes_to_host < kShareAfter) return 0;
  const std::size_t usable = spill_free_ - spill_free_ / 8;
  const std::size_t gone = promised_ - state.promised + stash_reserved_ + kSpillSlack;
  return usable > gone ? std::min((usable - gone) / kSharesInAll, kSpillShareMax) : 0;
}

// Keeps the sum of what the spill may have to take yet, beyond what it holds.
void TcpFlows::note_promise(Relaying& state, std::uint32_t open) {
  const std::uint32_t room = state.buffered == 0 ? state.host_room : 0;
  const std::uint32_t beyond = open > room ? open - room : 0;
  const std::uint32_t promised = beyond == 0 ? 0 : beyond + std::uint32_t{kSpillSlack};
  promised_ += promised;
  promised_ -= state.promised;
  state.promised = promised;
}

// While anything waits for its host, a flow is offered nothing that it was not promised before. A
// window that is closed with nothing waiting would never be opened by an event, so one segment fits
// always, also when the scale has cut off what it cannot express.
std::uint32_t TcpFlows::offered_window(const TcpFlow& flow, const Relaying& state) const {
  std::size_t window = 0;
  if (state.buffered == 0) {
    // Our DNS takes what it has room for, and leaves nothing to the spill.
    const std::size_t least = flow.guest.mss + (std::size_t{1} << kWindowScale) - 1;
    window =
        flow.dns ? state.host_room : std::max(state.host_room + spill_share(flow, state), least);
  }
  window = std::min<std::size_t>(window, flow.guest.scaled ? kWindowMax : 0xffffU);
  const std::uint32_t kept =
      state.window_edge > state.received ? distance(state.received, state.window_edge) : 0;
  // The less is under way when the flow is handed over, the less has to be carried after it.
  if (flow.hand_over != HandOverStage::kNone) [[unlikely]]
    return kept;
  return std::max(static_cast<std::uint32_t>(window), kept);
}

// What the next segment says in its ACK and window fields; returns the latter. Bytes that the
// driver has not answered for yet are not acknowledged. The right edge never moves left (RFC 9293,
// 3.8.6), so what the scale cannot express is rounded up where it was promised already.
std::uint16_t TcpFlows::advertise(const TcpFlow& flow, Relaying& state) {
  std::uint32_t pending = flow.range_first == kNoRange
                              ? flow.write_size
                              : static_cast<std::uint32_t>(state.stream_offset - flow.write_offset);
  if (pending != 0 && state.guest_finished) ++pending;
  state.acknowledged = state.received - pending;
  const std::uint8_t scale = flow.guest.scaled ? kWindowScale : 0;
  std::uint32_t field = (offered_window(flow, state) + pending) >> scale;
  if (state.acknowledged + (field << scale) < state.window_edge) ++field;
  field = std::min<std::uint32_t>(field, 0xffff);
  const wire::SeqNum edge = state.acknowledged + (field << scale);
  if (edge > state.window_edge) state.window_edge = edge;
  note_promise(
      state, state.window_edge > state.received ? distance(state.received, state.window_edge) : 0);
  return static_cast<std::uint16_t>(field);
}

[[gnu::noinline]] void TcpFlows::on_written(TcpId id, const TcpWritten& written, Turn turn) {
  const auto [taken, buffered, room] = written;
  SLUICE_PROBE(bytes_to_host, id.index, taken, buffered);
  TcpFlow* flow = find(id);
  if (flow == nullptr) return;
  auto* state = std::get_if<Relaying>(&flow->state);
  if (state == nullptr) return;
  if (!flow->host_failed) flow->bytes_to_host += taken;
  if (taken < flow->write_size) [[unlikely]] {
    roll_back(*state, flow->write_size - static_cast<std::uint32_t>(taken));
  }
  flow->write_size = 0;
  if (taken > 0) flow->moved = turn.now;
  state->buffered = buffered;
  state->host_room = room;
  pass_fin_on(id, *state, turn.out);
  if (may_hold_ack(*state)) {
    flow->ack_due = true;
    touch(*flow, id.index);
    return;
  }
  send_ack(id.index, *flow, *state, turn.out);
  consider_hand_over(id.index, *flow, *state, turn);
  finish_if_done(id, *flow, turn);
}

// Bytes that found no room were never acknowledged: the guest keeps them and sends them again.
[[gnu::cold]] void TcpFlows::roll_back(Relaying& state, std::uint32_t lost) {
  admission_.drops().count(DropReason::kTcpBufferFull);
  if (state.guest_finished) {
    state.guest_finished = false;
    state.received = state.received - 1;
  }
  state.received = state.received - lost;
  state.stream_offset -= lost;
  if (state.loss != nullptr) state.loss->stashed.clear();
}

void TcpFlows::write_burst(TcpId id, TcpFlow& flow, const Relaying& state, ActionSink& out) {
  out.push(WriteTcp{id, flow.write_offset, state.stream_offset, flow.range_first});
  flow.range_first = kNoRange;
}

void TcpFlows::pass_fin_on(TcpId id, Relaying& state, ActionSink& out) {
  if (!state.guest_finished || state.host_shut || state.buffered != 0) return;
  state.host_shut = true;
  out.push(ShutdownTcp{id});
}

// RFC 9293, 3.8.6.2.2. A guest whose window is too small for a segment waits for nothing else, and
// would ask in vain until its timer ends.
bool TcpFlows::update_is_worth_it(const TcpFlow& flow, const Relaying& state) const {
  if (state.guest_finished) return false;
  const std::uint32_t open = distance(state.received, state.window_edge);
  const std::uint32_t offered = offered_window(flow, state);
  if (open < flow.guest.mss) return offered > open && offered >= flow.guest.mss;
  const std::uint32_t step = std::min(2U * flow.guest.mss, kStepMax);
  return offered >= open + step && open <= offered / 2;
}

[[gnu::noinline]] void TcpFlows::on_room(TcpId id, std::uint32_t buffered, std::uint32_t room,
                                         Turn turn) {
  TcpFlow* flow = find(id);
  if (flow == nullptr) return;
  auto* state = std::get_if<Relaying>(&flow->state);
  if (state == nullptr) return;
  const bool was_waiting = state->buffered != 0;
  flow->moved = turn.now;
  state->buffered = buffered;
  state->host_room = room;
  if (was_waiting) pass_fin_on(id, *state, turn.out);
  if (update_is_worth_it(*flow, *state)) send_ack(id.index, *flow, *state, turn.out);
  consider_hand_over(id.index, *flow, *state, turn);
  finish_if_done(id, *flow, turn);
}

}  // namespace sluice::flow
