#include "flow/tcp/tcp_receiver.h"

#include <algorithm>

namespace sluice::flow {
namespace {

// What a window must open by to be told at once, at most.
constexpr std::uint32_t kStepMax = 8 * 1024;

}  // namespace

std::optional<Receiver::Piece> Receiver::cut(wire::SeqNum sequence, ByteView payload, bool fin,
                                             DropCounters& drops) const {
  std::int32_t ahead = sequence - received;
  if (guest_finished) {
    const auto length = static_cast<std::int32_t>(payload.size()) + (fin ? 1 : 0);
    if (ahead + length > 0) drops.count(DropReason::kTcpAfterClose);
    return std::nullopt;
  }
  if (ahead < 0) {  // A repeat: what is old is trimmed.
    const auto old = static_cast<std::size_t>(-static_cast<std::int64_t>(ahead));
    if (old > payload.size() || (old == payload.size() && !fin)) {
      drops.count(DropReason::kTcpOutsideWindow);
      return std::nullopt;
    }
    payload = payload.subspan(old);
    ahead = 0;
  }
  const std::uint32_t space = distance(received, window_edge);
  const auto first = static_cast<std::uint32_t>(ahead);
  if (first + payload.size() > space) {
    fin = false;
    if (first >= space) {
      drops.count(DropReason::kTcpOutsideWindow);
      return std::nullopt;
    }
    payload = payload.first(space - first);
  }
  return Piece{first, payload, fin};
}

// Of `length` bytes that fill a gap, and what waits behind it.
[[gnu::cold]] std::uint32_t Receiver::join(std::uint32_t length) {
  const wire::SeqNum end = gaps->stashed.end_of_range_at(received + length);
  gaps->stashed.trim(end);
  return distance(received, end);
}

[[gnu::cold]] wire::SackBlock Receiver::note_early(const Piece& piece) {
  if (gaps == nullptr) gaps = std::make_unique<Gaps>();
  const wire::SeqNum left = received + piece.ahead;
  const wire::SackBlock block{left, left + static_cast<std::uint32_t>(piece.bytes.size())};
  if (piece.fin) gaps->early_fin = block.right;
  if (!piece.bytes.empty()) gaps->newest = left;
  return block;
}

[[gnu::cold]] void Receiver::report_stashed(wire::TcpOptions& options) const {
  const auto holds_newest = [&](const wire::SackBlock& block) {
    return block.left <= gaps->newest && gaps->newest < block.right;
  };
  for (const wire::SackBlock& block : gaps->stashed.ranges()) {
    if (holds_newest(block)) options.add_sack(block);
  }
  for (const wire::SackBlock& block : gaps->stashed.ranges()) {
    if (!holds_newest(block)) options.add_sack(block);
  }
}

WriteTcp Receiver::begin_write(TcpId id, policy::Lane* lane) {
  const WriteTcp write{id, write_offset, stream_offset, range_first, lane};
  range_first = kNoRange;
  write_size = chained();
  return write;
}

bool Receiver::wrote(std::uint64_t taken, std::uint32_t now_buffered, std::uint32_t room) {
  const bool all = taken >= write_size;
  if (!all) [[unlikely]]
    roll_back(write_size - static_cast<std::uint32_t>(taken));
  write_size = 0;
  buffered = now_buffered;
  host_room = room;
  return all;
}

[[gnu::cold]] void Receiver::roll_back(std::uint32_t lost) {
  if (guest_finished) {
    guest_finished = false;
    received = received - 1;
  }
  received = received - lost;
  stream_offset -= lost;
  forget_stashed();
}

// While anything waits for its host, a flow is offered nothing that it was not promised before. A
// window that is closed with nothing waiting would never be opened by an event, so one segment fits
// always, also when the scale has cut off what it cannot express.
std::uint32_t Receiver::offered(const GuestTcpOptions& guest, WindowTerms terms,
                                std::size_t share) const {
  const std::uint32_t kept = open();
  // The less is under way when a flow is to stand still, the less has to be carried after it.
  if (terms == WindowTerms::kNothingNew) [[unlikely]]
    return kept;
  std::size_t window = 0;
  if (buffered == 0) {
    const std::size_t least = guest.mss + (std::size_t{1} << kTcpWindowScale) - 1;
    window = terms == WindowTerms::kRoomOnly ? host_room : std::max(host_room + share, least);
  }
  window = std::min<std::size_t>(window, guest.scaled ? kWindowMax : 0xffffU);
  return std::max(static_cast<std::uint32_t>(window), kept);
}

// Bytes that the driver has not answered for yet are not acknowledged. The right edge never moves
// left (RFC 9293, 3.8.6), so what the scale cannot express is rounded up where it was promised.
std::uint16_t Receiver::advertise(const GuestTcpOptions& guest, std::uint32_t window) {
  std::uint32_t pending = has_chain() ? chained() : write_size;
  if (pending != 0 && guest_finished) ++pending;
  acknowledged = received - pending;
  const std::uint8_t scale = guest.our_scale();
  std::uint32_t field = (window + pending) >> scale;
  if (acknowledged + (field << scale) < window_edge) ++field;
  field = std::min<std::uint32_t>(field, 0xffff);
  const wire::SeqNum edge = acknowledged + (field << scale);
  if (edge > window_edge) window_edge = edge;
  return static_cast<std::uint16_t>(field);
}

// A guest whose window is too small for a segment waits for nothing else, and would ask in vain
// until its timer ends.
bool Receiver::update_is_worth_it(std::uint16_t mss, std::uint32_t window) const {
  if (guest_finished) return false;
  const std::uint32_t told = distance(received, window_edge);
  if (told < mss) return window > told && window >= mss;
  const std::uint32_t step = std::min(2U * mss, kStepMax);
  return window >= told + step && told <= window / 2;
}

// Every ACK makes the guest's kernel work, in our time: while its bulk data keeps coming and its
// window is far from full, one ACK can speak for several bursts.
bool Receiver::may_hold_ack() const {
  constexpr std::uint32_t kHeldMax = 2 * 1024 * 1024;
  if (guest_finished || gaps != nullptr) return false;
  const std::uint32_t held = distance(acknowledged, received);
  return held > 0 && held < kHeldMax && held < distance(received, window_edge);
}

}  // namespace sluice::flow
