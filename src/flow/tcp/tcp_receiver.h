// Guest to host: which bytes of the guest's count, where they go, and what it is offered next. The
// half of a connection that knows numbers and windows; who is told what is TcpFlows' to do.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/time.h"
#include "flow/core/action.h"
#include "flow/core/drop_reason.h"
#include "flow/tcp/guest_tcp_options.h"
#include "flow/tcp/range_set.h"
#include "flow/tcp/spill_budget.h"
#include "wire/seq_num.h"

namespace sluice::flow {

// What a window is made of, beyond what the guest was promised before.
enum class WindowTerms : std::uint8_t {
  kShared,      // What the host takes, and a share of the spill.
  kRoomOnly,    // What the host takes: it is our DNS, which leaves nothing to the spill.
  kNothingNew,  // The flow is to stand still.
};

struct Receiver {
  static constexpr std::uint32_t kWindowMax = 4 * 1024 * 1024;

  // A segment's bytes, and how far ahead of `received` they begin.
  struct Piece {
    std::uint32_t ahead = 0;
    ByteView bytes;
    bool fin = false;
  };
  // What only a lossy link needs; taken when the first gap shows.
  struct Gaps {
    std::optional<wire::SeqNum> early_fin;  // The guest's FIN, ahead of a gap.
    wire::SeqNum newest;                    // Where the newest stashed segment began.
    RangeSet stashed;                       // Arrived ahead of `received`.
  };

  wire::SeqNum received;            // RCV.NXT: everything before it is ours to deliver.
  wire::SeqNum acknowledged;        // The ACK field we sent last.
  wire::SeqNum window_edge;         // The right edge we offered; never moves left.
  std::uint64_t stream_offset = 0;  // Of `received` in the stream, without SYN and FIN.
  std::uint32_t buffered = 0;       // Bytes in the driver's spill that the host has not taken.
  std::uint32_t host_room = 0;      // What the host can take now, as the driver read it last.
  std::uint32_t promised = 0;       // Of the spill, by the window that is open.
  bool guest_finished = false;      // Its FIN is part of `received`.
  bool host_shut = false;           // ... and was passed on.
  Instant check_at = kNever;        // ... and when to see whether the guest still knows of us.

  // The bytes of the current burst, and of the WriteTcp that is out.
  std::uint32_t range_first = kNoRange;
  std::uint32_t range_last = kNoRange;
  std::uint64_t write_offset = 0;  // Of the first range in the stream.
  std::uint32_t range_bytes = 0;   // In the chain of ranges.
  std::uint32_t write_size = 0;

  std::unique_ptr<Gaps> gaps;

  // Cuts off what is old and what lies beyond the window. Nothing where no byte counts.
  [[nodiscard]] std::optional<Piece> trim(wire::SeqNum sequence, ByteView payload, bool fin,
                                          DropCounters& drops) const {
    const bool next = !guest_finished && sequence == received;
    if (next && payload.size() <= distance(received, window_edge)) [[likely]]
      return Piece{0, payload, fin};
    return cut(sequence, payload, fin, drops);
  }
  // Adds to the chain of ranges. False when they have to be stashed: what is stashed lies behind
  // the chain, and order is kept.
  [[nodiscard]] bool chain(ByteView bytes, ActionSink& out) {
    const std::uint32_t range = out.next_range();
    if (!has_chain()) {
      range_first = range;
      write_offset = stream_offset;
      range_bytes = 0;
    } else if (write_offset + range_bytes == stream_offset) [[likely]] {
      out.link_range(range_last, range);
    } else {
      return false;
    }
    out.add_range(bytes);
    range_last = range;
    range_bytes += static_cast<std::uint32_t>(bytes.size());
    return true;
  }
  // Whether a segment of so many bytes is all new, inside the window and next, with nothing stashed
  // before or behind it.
  [[nodiscard]] bool is_plainly_next(wire::SeqNum sequence, std::uint32_t bytes) const {
    const bool fits = sequence == received && bytes <= distance(received, window_edge);
    const bool in_chain = !has_chain() || write_offset + range_bytes == stream_offset;
    return fits && in_chain && !guest_finished && !has_gap();
  }
  // A piece of such a segment, which is next of all.
  void chain_next(ByteView bytes, ActionSink& out) {
    (void)chain(bytes, out);
    advance(static_cast<std::uint32_t>(bytes.size()));
  }
  // So many bytes at `received` are in the chain or stashed; what waited behind the gap follows.
  void advance(std::uint32_t length) {
    if (gaps != nullptr && !gaps->stashed.empty()) [[unlikely]]
      length = join(length);
    received += length;
    stream_offset += length;
  }
  // The guest's FIN, if the piece or one that came early has it, is next.
  void note_fin(bool fin) {
    const bool was_early =
        gaps != nullptr && gaps->early_fin.has_value() && *gaps->early_fin == received;
    if (!fin && !was_early) [[likely]]
      return;
    guest_finished = true;
    received += 1;
  }
  // A piece ahead of a gap; its range, to be remembered by stashed() once its bytes are.
  [[nodiscard]] wire::SackBlock note_early(const Piece& piece);
  // False when no more ranges can be remembered.
  [[nodiscard]] bool stashed(const wire::SackBlock& block) { return gaps->stashed.insert(block); }
  // A stash found no room. RFC 2018, 8: what was SACKed may be dropped yet.
  void forget_stashed() {
    if (gaps != nullptr) gaps->stashed.clear();
  }
  // RFC 2018, 4: what is stashed, first the block that holds the newest segment.
  void report_stashed(wire::TcpOptions& options) const;
  [[nodiscard]] bool has_gap() const {
    return gaps != nullptr && (!gaps->stashed.empty() || gaps->early_fin.has_value());
  }

  // Whether bytes of this burst wait for a WriteTcp.
  [[nodiscard]] bool has_chain() const { return range_first != kNoRange; }
  [[nodiscard]] std::uint32_t chained() const {
    return static_cast<std::uint32_t>(stream_offset - write_offset);
  }
  [[nodiscard]] WriteTcp begin_write(TcpId id, policy::Lane* lane = nullptr);
  // Answers a WriteTcp. False when some of its bytes found no room: they were never acknowledged,
  // and the guest sends them again.
  bool wrote(std::uint64_t taken, std::uint32_t now_buffered, std::uint32_t room);
  // Whether the host is to be passed the guest's FIN now; says so once.
  [[nodiscard]] bool take_fin() {
    if (!guest_finished || host_shut || buffered != 0) return false;
    host_shut = true;
    return true;
  }

  [[nodiscard]] std::uint32_t open() const {
    return window_edge > received ? distance(received, window_edge) : 0;
  }
  // Of a window that is open so far, what the host may not take.
  [[nodiscard]] std::uint32_t beyond_host(std::uint32_t window) const {
    const std::uint32_t room = buffered == 0 ? host_room : 0;
    return window > room ? window - room : 0;
  }
  // The window as it may be from here on; `share` is of the spill.
  [[nodiscard]] std::uint32_t offered(const GuestTcpOptions& guest, WindowTerms terms,
                                      std::size_t share) const;
  // What the next segment says in its ACK and window fields; returns the latter.
  [[nodiscard]] std::uint16_t advertise(const GuestTcpOptions& guest, std::uint32_t window);
  // Whether a window update is worth a segment of its own (RFC 9293, 3.8.6.2.2).
  [[nodiscard]] bool update_is_worth_it(std::uint16_t mss, std::uint32_t window) const;
  // Whether one ACK may speak for this burst and the next.
  [[nodiscard]] bool may_hold_ack() const;
  // A keep-alive (RFC 9293, 3.8.4), and none that asks for news of a window which we have closed.
  [[nodiscard]] bool is_keep_alive(wire::SeqNum sequence, std::uint16_t mss) const {
    const bool wide = window_edge - received >= std::int32_t{mss};
    return sequence == received - 1 && (wide || guest_finished);
  }

 private:
  [[nodiscard]] std::optional<Piece> cut(wire::SeqNum sequence, ByteView payload, bool fin,
                                         DropCounters& drops) const;
  [[nodiscard]] std::uint32_t join(std::uint32_t length);
  void roll_back(std::uint32_t lost);
};

}  // namespace sluice::flow
