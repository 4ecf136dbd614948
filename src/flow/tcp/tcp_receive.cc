// Guest to host: what a segment of the guest's does to a connection that stands, and what comes
// back from the host. Numbers and windows are tcp_receiver.h's.
#include <utility>

#include "flow/tcp/tcp_flows.h"
#include "trace/probe.h"

namespace sluice::flow {
namespace {

// Before it has carried so much a flow fits what a fresh socket takes: idle ones hold no promise.
constexpr std::uint64_t kShareAfter = 64 * 1024;

[[nodiscard]] WindowTerms terms_of(const TcpFlow& flow) {
  if (flow.hand_over != HandOverStage::kNone) [[unlikely]]
    return WindowTerms::kNothingNew;
  return flow.room_only ? WindowTerms::kRoomOnly : WindowTerms::kShared;
}

[[nodiscard]] std::uint32_t offered_window(const TcpFlow& flow, const Receiver& rx,
                                           const SpillBudget& spill) {
  // What a rate holds back would only wait in the spill.
  const bool slow = flow.metered.any() && flow.metered.meter->to_host().has_rate();
  const std::size_t share = flow.bytes_to_host < kShareAfter || slow ? 0 : spill.share(rx.promised);
  return rx.offered(flow.guest, terms_of(flow), share);
}

// A keep-alive (RFC 9293, 3.8.4) is the other end's to answer. With its window closed the guest
// asks in the same way for news of that, which only we have.
[[gnu::cold]] void receive_old_number(TcpFlow& flow, const Receiver& rx, wire::SeqNum sequence,
                                      ActionSink& out) {
  if (rx.is_keep_alive(sequence, flow.guest.mss)) {
    out.push(ProbeTcp{flow.id, flow.lull});
  } else {
    flow.ack_due = true;
  }
}

// The guest sends bytes.
void note_question(TcpFlow& flow) {
  if (!flow.answered) return;
  flow.answered = false;
  ++flow.turns;
}

}  // namespace

[[gnu::noinline]] void TcpFlows::segment_relaying(TcpFlow& flow, Relaying& state,
                                                  const wire::TcpView& segment, Turn turn) {
  const wire::TcpFlags flags = segment.flags();
  if ((flags.bits & (wire::TcpFlags::kSyn | wire::TcpFlags::kRst)) != 0) [[unlikely]] {
    segment_control(flow, state, segment, turn);
    return;
  }
  if (!flags.ack()) {
    admission_.drops().count(DropReason::kMalformed);
    return;
  }
  touch(flow);
  if (!segment.payload().empty() || flags.fin()) {
    if (flow.kept == nullptr) [[likely]] {
      receive_data(flow, state, segment, turn.out);
    } else if (!keep_data(flow, state, segment, turn)) {
      return;
    }
  } else if (segment.sequence() < state.rx.received) [[unlikely]] {
    receive_old_number(flow, state.rx, segment.sequence(), turn.out);
  }
  receive_ack(flow, state, segment, turn);
}

void TcpFlows::on_probed(TcpId id, bool answers, ActionSink& out) {
  TcpFlow* flow = find(id);
  if (flow == nullptr || !answers) return;
  if (Relaying* state = standing(*flow)) send_ack(*flow, *state, out);
}

// RFC 5961, 3 and 4: a RST counts only at the exact number we expect, a SYN never does; anything
// near is challenged with an ACK, to which a peer that meant it will answer with the right RST.
[[gnu::cold]] void TcpFlows::segment_control(TcpFlow& flow, Relaying& state,
                                             const wire::TcpView& segment, Turn turn) {
  Receiver& rx = state.rx;
  const wire::SeqNum sequence = segment.sequence();
  if (segment.flags().rst()) {
    if (sequence == rx.received) {
      // What came before it is passed on before it.
      if (flow.watched != nullptr) [[unlikely]] {
        const Sifted sifted = sift(flow, state, turn);
        if (sifted == Sifted::kFlowIsGone) return;
        if (sifted == Sifted::kWriting && !flow.host_failed)
          flow.bytes_to_host += flow.watched->written;
      } else if (rx.has_chain()) {
        if (!flow.host_failed) flow.bytes_to_host += rx.chained();
        turn.out.push(rx.begin_write(flow.id, lane_to_host(flow)));
      }
      // Without an ACK it is the answer of a kernel that knows of no such connection. The host is
      // told when it sends something, as that kernel would.
      const bool forgotten =
          !segment.flags().ack() && rx.host_shut && !state.tx.fin_sent && state.tx.all_acked();
      turn.out.push(CloseTcp{flow.id, !forgotten, forgotten});
      remove(flow.id, policy::Outcome::kResetByGuest, turn);
      return;
    }
    admission_.drops().count(DropReason::kTcpChallenged);
    if (sequence < rx.received || sequence > rx.window_edge) return;
  } else {
    admission_.drops().count(DropReason::kTcpChallenged);
  }
  flow.ack_due = true;
  touch(flow);
}

void TcpFlows::receive_data(TcpFlow& flow, Relaying& state, const wire::TcpView& segment,
                            ActionSink& out) {
  Receiver& rx = state.rx;
  flow.ack_due = true;
  const auto piece =
      rx.trim(segment.sequence(), segment.payload(), segment.flags().fin(), admission_.drops());
  if (!piece) return;
  if (piece->ahead > 0) [[unlikely]] {
    if (flow.watched == nullptr) {
      receive_early(flow, state, *piece, out);
    } else {
      // What is judged has no gaps. The guest sends it again.
      admission_.drops().count(DropReason::kTcpBufferFull);
      send_ack(flow, state, out);
    }
    return;
  }
  if (!piece->bytes.empty()) {
    note_question(flow);
    if (!rx.chain(piece->bytes, out) && !stash(flow.id, rx.stream_offset, piece->bytes, out)) {
      return;  // Found no room.
    }
    rx.advance(static_cast<std::uint32_t>(piece->bytes.size()));
  }
  rx.note_fin(piece->fin);
}

bool TcpFlows::on_pieces(const wire::TcpFrameHead& head, std::span<const ByteView> rest,
                         Turn turn) {
  const wire::TcpView& segment = head.segment;
  const std::uint32_t index = index_of({{head.source, segment.source_port()},
                                        {head.destination, segment.destination_port()},
                                        wire::IpProtocol::kTcp});
  if (index == FlowTable::kNone) return false;
  TcpFlow& flow = flows_.at(index);
  auto* state = std::get_if<Relaying>(&flow.state);
  // Packets of a flow that stands still wait with the driver, and our DNS reads what it is asked.
  if (state == nullptr || flow.hand_over == HandOverStage::kAsked || flow.room_only ||
      !state->rx.is_plainly_next(segment.sequence(), head.payload_size)) {
    return false;
  }
  SLUICE_PROBE_VALUES(frame_in, index, segment.header_length() + head.payload_size, head.tcp.data(),
                      head.payload_size, segment.flags().bits);
  flow.lull = turn.now - flow.active;
  flow.active = turn.now;
  touch(flow);
  flow.ack_due = true;
  note_question(flow);
  Receiver& rx = state->rx;
  rx.chain_next(segment.payload(), turn.out);
  for (const ByteView piece : rest) rx.chain_next(piece, turn.out);
  rx.note_fin(segment.flags().fin());
  receive_ack(flow, *state, segment, turn);
  return true;
}

[[gnu::cold]] bool TcpFlows::stash(TcpId id, std::uint64_t offset, ByteView bytes,
                                   ActionSink& out) {
  if (!spill_.reserve(bytes.size())) {
    admission_.drops().count(DropReason::kTcpBufferFull);
    return false;
  }
  out.push(StashTcp{id, offset, bytes});
  return true;
}

[[gnu::cold]] void TcpFlows::on_stashed(TcpId id, std::size_t asked, std::size_t taken) {
  spill_.release(asked);
  if (taken == asked) return;
  // If the gap has closed meanwhile, the answer to the write tells how far the bytes go.
  TcpFlow* flow = find(id);
  auto* state = flow == nullptr ? nullptr : std::get_if<Relaying>(&flow->state);
  if (state == nullptr) return;
  admission_.drops().count(DropReason::kTcpBufferFull);
  state->rx.forget_stashed();
}

[[gnu::cold]] void TcpFlows::receive_early(TcpFlow& flow, Relaying& state,
                                           const Receiver::Piece& piece, ActionSink& out) {
  Receiver& rx = state.rx;
  const wire::SackBlock block = rx.note_early(piece);
  // Bytes may be stashed without being remembered; remembered ones must be stashed.
  if (!piece.bytes.empty() && stash(flow.id, rx.stream_offset + piece.ahead, piece.bytes, out) &&
      !rx.stashed(block)) {
    admission_.drops().count(DropReason::kTcpBufferFull);
  }
  // RFC 5681, 4.2: at once, so that the guest counts its duplicates.
  send_ack(flow, state, out);
}

std::uint16_t TcpFlows::advertise(const TcpFlow& flow, Receiver& rx) {
  const std::uint16_t field = rx.advertise(flow.guest, offered_window(flow, rx, spill_));
  spill_.promise(rx.promised, rx.beyond_host(rx.open()));
  return field;
}

[[gnu::noinline]] void TcpFlows::on_written(TcpId id, const TcpWritten& written, Turn turn) {
  SLUICE_PROBE(bytes_to_host, id.index, written.taken, written.buffered);
  TcpFlow* flow = find(id);
  if (flow == nullptr) return;
  auto* state = std::get_if<Relaying>(&flow->state);
  if (state == nullptr) [[unlikely]] {
    written_gated(*flow, written, turn);
    return;
  }
  if (!flow->host_failed) flow->bytes_to_host += written.taken;
  if (written.taken > 0) flow->moved = turn.now;
  std::uint64_t taken = written.taken;
  if (Watched* watched = flow->watched.get()) [[unlikely]] {
    if (taken < std::exchange(watched->written, 0)) {
      // The guest would send the rest again, but what was judged is not judged twice.
      admission_.drops().count(DropReason::kTcpBufferFull);
      abort(*flow, policy::Outcome::kResetByHost, turn);
      return;
    }
    taken = state->rx.write_size;
  }
  if (!state->rx.wrote(taken, written.buffered, written.room)) [[unlikely]]
    admission_.drops().count(DropReason::kTcpBufferFull);
  if (flow->watched != nullptr) [[unlikely]] {
    if (sift(*flow, *state, turn) != Sifted::kNothing) return;
  }
  if (state->rx.take_fin()) turn.out.push(ShutdownTcp{id});
  if (may_hold_ack(*state)) {
    flow->ack_due = true;
    touch(*flow);
    return;
  }
  send_ack(*flow, *state, turn.out);
  consider_hand_over(*flow, *state, turn);
  finish_if_done(*flow, *state, turn);
}

[[gnu::noinline]] void TcpFlows::on_room(TcpId id, std::uint32_t buffered, std::uint32_t room,
                                         Turn turn) {
  TcpFlow* flow = find(id);
  if (flow == nullptr) return;
  auto* state = std::get_if<Relaying>(&flow->state);
  if (state == nullptr) [[unlikely]] {
    if (auto* gated = std::get_if<Gated>(&flow->state)) {
      flow->kept->host_room = room;
      gated->relaying.rx.buffered = buffered;
      if (flow->kept->is_let_through()) write_kept(*flow, *gated, turn);
    }
    return;
  }
  Receiver& rx = state->rx;
  const bool was_waiting = rx.buffered != 0;
  flow->moved = turn.now;
  rx.buffered = buffered;
  rx.host_room = room;
  if (was_waiting && rx.take_fin()) turn.out.push(ShutdownTcp{id});
  if (rx.update_is_worth_it(flow->guest.mss, offered_window(*flow, rx, spill_))) {
    send_ack(*flow, *state, turn.out);
  }
  consider_hand_over(*flow, *state, turn);
  finish_if_done(*flow, *state, turn);
}

}  // namespace sluice::flow
