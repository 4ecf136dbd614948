// Host to guest: what the guest has acknowledged, what may be sent next, and what must be sent
// again. The half of a connection that knows numbers and times; the bytes stay with the host.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/time.h"
#include "flow/tcp/guest_tcp_options.h"
#include "flow/tcp/range_set.h"
#include "flow/tcp/rtt.h"
#include "wire/seq_num.h"

namespace sluice::flow {

// What a segment's ACK says.
enum class AckNews : std::uint8_t {
  kNothing,
  kNeverSent,  // It acknowledges what was never sent: answered, not believed (RFC 9293, 3.10.7.4).
  kProgress,
  kHole,  // The guest misses something, with progress or without: see next_hole().
};

struct Sender {
  // What only a lossy link needs; taken when the first loss shows.
  struct Loss {
    RangeSet sacked;        // The guest has these beyond `acked`.
    wire::SeqNum repaired;  // Holes before this were sent again in this recovery.
  };
  // What is to be sent again; without a size it is our FIN.
  struct Hole {
    wire::SeqNum sequence;
    std::uint32_t size = 0;
  };

  wire::SeqNum head;          // The byte at the head of the host socket's queue.
  wire::SeqNum acked;         // SND.UNA
  wire::SeqNum sent;          // SND.NXT
  wire::SeqNum window_seq;    // SND.WL1
  wire::SeqNum window_ack;    // SND.WL2
  std::uint32_t window = 0;   // SND.WND, scaled.
  bool peek_pending = false;  // A PeekTcp for new data is out.
  std::uint32_t claimed = 0;  // ... for which so many bytes are claimed of a limit.
  Instant resume_at{};        // Not before, as a limit has it.
  bool end_seen = false;      // The host's end of stream was read.
  bool fin_sent = false;      // ... and our FIN is the last number before `sent`.
  bool recovering = false;
  std::uint8_t repeats = 0;  // Duplicate ACKs in a row.
  wire::SeqNum recover;      // Recovery ends when this is acknowledged (RFC 6582).

  RttEstimator rtt;
  bool timing = false;
  wire::SeqNum timed_seq;
  Instant timed_at{};
  Instant resend_at = kNever;  // Retransmission or window probe.
  Instant progress_at{};       // The guest's last progress on what is in flight.

  std::unique_ptr<Loss> loss;

  // Where a segment's numbers and window come from: a handshake's last ACK, or `segment` says more.
  // `host_lives`: a guest that is alive but full is waited for without end.
  [[nodiscard]] AckNews on_ack(const wire::TcpView& segment, const GuestTcpOptions& guest,
                               bool host_lives, Instant now);
  // The first hole that this recovery has not sent yet, cut to what one frame carries.
  [[nodiscard]] std::optional<Hole> next_hole(std::size_t frame_max);
  // Nothing came back in time: RFC 6298, 5.4 to 5.6. What is in flight is a hole from here on.
  void time_out();

  [[nodiscard]] std::uint32_t in_flight() const { return distance(acked, sent); }
  [[nodiscard]] bool all_acked() const { return acked == sent; }
  // How much may be sent now.
  [[nodiscard]] std::uint32_t usable(std::uint16_t mss) const;
  // RFC 9293, 3.8.6.1: whether the guest's window is closed and nothing will tell when it opens.
  // Then it is asked in a while.
  [[nodiscard]] bool begin_probing(Instant now);
  // Where PeekTcp finds a byte, behind the head of the host's queue.
  [[nodiscard]] std::uint32_t offset_of(wire::SeqNum sequence) const {
    return distance(head, sequence);
  }
  void note_data(std::size_t bytes, bool fin);
  // After what was sent: whether a timer has to be set, to `resend_at`.
  [[nodiscard]] bool note_sent(Instant now);
  // How many bytes the host's queue may discard, because the guest has them; says so once.
  [[nodiscard]] std::uint32_t take_acked();

 private:
  [[nodiscard]] AckNews on_progress(wire::SeqNum ack, Instant now);
  [[nodiscard]] AckNews on_repeat(std::uint16_t mss);
  void note_sacks(const wire::TcpView& segment);
  // Where our data ends: a FIN takes a number but no byte.
  [[nodiscard]] wire::SeqNum data_end() const { return fin_sent ? sent - 1 : sent; }
};

}  // namespace sluice::flow
