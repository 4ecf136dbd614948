// The guest's end of one connection: a small but real TCP (RFC 9293) without congestion control.
// It retransmits by timer and by duplicate ACKs, reassembles what arrives out of order, honours and
// offers windows, and checks every byte and every promise of the engine.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "reassembly.h"
#include "scenario.h"
#include "wire/seq_num.h"
#include "wire/transport/tcp.h"

namespace sluice::sim {

struct OutgoingSegment {
  wire::SeqNum sequence{};
  wire::SeqNum acknowledgment{};
  wire::TcpFlags flags{};
  std::uint16_t window = 0;
  std::uint16_t urgent = 0;
  wire::TcpOptions options{};
  ByteView payload{};
};

// What the connection needs of the world it lives in.
class GuestStack {
 public:
  virtual ~GuestStack() = default;
  [[nodiscard]] virtual Instant now() const = 0;
  virtual void transmit(std::uint32_t connection, const OutgoingSegment& segment) = 0;
  virtual void wake_at(std::uint32_t connection, Instant when) = 0;
};

class GuestTcp {
 public:
  enum class Phase : std::uint8_t {
    kIdle,  // Outbound: not begun. Inbound: listening.
    kSynSent,
    kSynReceived,
    kOpen,
    kTimeWait,  // Closed by FIN on both sides.
    kReset,     // By either side.
    kRefused,   // Never opened.
  };

  // `salt` names the stream it sends, `salt + 1` the one it receives. References are not owned.
  GuestTcp(const ConnectionPlan& plan, std::uint32_t number, GuestStack& stack);

  void start();
  void on_segment(const wire::TcpView& segment);
  // An ICMP error about our SYN.
  void on_unreachable();
  void on_wake();
  // Its plan has changed.
  void look_again() {
    woken_at_ = stack_.now();
    on_wake();
  }

  [[nodiscard]] Phase phase() const { return phase_; }
  [[nodiscard]] bool finished() const {
    return phase_ == Phase::kTimeWait || phase_ == Phase::kReset || phase_ == Phase::kRefused;
  }
  [[nodiscard]] bool was_open() const { return opened_at_ != Instant{}; }
  [[nodiscard]] bool fin_was_sent() const { return fin_is_out_; }
  [[nodiscard]] bool sent_reset() const { return sent_reset_; }
  [[nodiscard]] std::uint64_t reset_at() const { return reset_at_; }  // Where in its stream.
  [[nodiscard]] bool got_reset() const { return got_reset_; }
  [[nodiscard]] bool got_end() const { return end_reached_; }
  [[nodiscard]] std::uint64_t received() const { return received_; }
  // By its program, without the FIN.
  [[nodiscard]] std::uint64_t written() const { return writable(); }
  [[nodiscard]] std::uint32_t timeouts() const { return timeouts_; }
  [[nodiscard]] std::uint32_t repeated_segments() const { return repeated_segments_; }
  [[nodiscard]] bool window_ever_moved_left() const { return window_moved_left_; }
  // RCV.NXT, and the right edge of what it offered.
  [[nodiscard]] wire::SeqNum expects() const { return acknowledgment(); }
  [[nodiscard]] wire::SeqNum offers_until() const {
    return peer_isn_ + 1 + static_cast<std::uint32_t>(offered_);
  }

  [[nodiscard]] static std::uint32_t salt_out(std::uint32_t number) { return number * 2; }
  [[nodiscard]] static std::uint32_t salt_in(std::uint32_t number) { return number * 2 + 1; }

 private:
  void on_syn_answer(const wire::TcpView& segment);
  void on_knock(const wire::TcpView& segment);
  void on_reset(const wire::TcpView& segment);
  void on_ack(const wire::TcpView& segment);
  void on_new_ack(std::uint64_t offset);
  void note_sacks(const wire::TcpView& segment);
  void on_repeat();
  void on_data(const wire::TcpView& segment);
  void arrive(std::uint64_t offset, ByteView payload);
  void answer_with_reset(const wire::TcpView& segment);

  void send_syn();
  void open(const wire::TcpView& segment);
  void transmit_more();
  void send_range(std::uint64_t offset, std::uint64_t end);
  void send_ack();
  void send_probe();
  void send_reset();
  void fast_retransmit();
  void read();
  void finish_if_done();
  void on_retransmission_timeout();

  void arm_retransmission();
  void wake_when(Instant when);
  [[nodiscard]] bool may_close() const;
  [[nodiscard]] std::uint64_t writable() const;
  [[nodiscard]] std::uint64_t acked_data() const;
  [[nodiscard]] std::uint32_t free_window() const;
  [[nodiscard]] std::uint16_t window_field();
  [[nodiscard]] wire::SeqNum sequence_of(std::uint64_t offset) const;
  [[nodiscard]] wire::SeqNum acknowledgment() const;

  const ConnectionPlan& plan_;
  std::uint32_t number_;
  GuestStack& stack_;
  Phase phase_ = Phase::kIdle;
  Instant opened_at_{};

  // Sending; offsets of our stream. The FIN stands at to_send.
  std::uint64_t acked_ = 0;  // Counts the FIN.
  std::uint64_t next_ = 0;
  std::uint64_t highest_ = 0;
  std::uint64_t edge_ = 0;  // The end of the peer's window.
  std::uint64_t peer_edge_max_ = 0;
  std::uint64_t written_ = 0;
  Instant next_write_{};
  std::uint32_t writes_ = 0;
  std::uint64_t urgent_until_ = 0;  // SND.UP: behind the urgent byte.
  bool fin_is_out_ = false;
  std::uint8_t peer_scale_ = 0;
  bool scaling_ = false;
  bool sack_ = false;
  std::vector<Range> sacked_;
  std::uint32_t repeats_ = 0;
  bool recovering_ = false;
  std::uint64_t recover_ = 0;
  std::uint64_t repaired_ = 0;
  wire::SeqNum window_seq_{};
  wire::SeqNum window_ack_{};

  // Receiving; offsets of the host's stream.
  wire::SeqNum peer_isn_{};
  std::uint64_t received_ = 0;
  std::uint64_t read_ = 0;
  std::uint64_t offered_ = 0;  // The right edge we promised.
  std::vector<Range> early_;
  std::uint64_t end_at_ = UINT64_MAX;  // Where the FIN stands.
  bool end_reached_ = false;
  bool ack_pending_ = false;
  std::uint32_t unacknowledged_segments_ = 0;
  Instant next_read_ = kNever;

  Instant retransmit_at_ = kNever;
  Instant probe_at_ = kNever;
  Instant ack_at_ = kNever;
  Instant keep_alive_at_ = kNever;
  std::uint32_t backoff_ = 0;
  std::uint32_t syns_ = 0;
  Instant woken_at_ = kNever;

  bool sent_reset_ = false;
  std::uint64_t reset_at_ = 0;
  bool got_reset_ = false;
  bool window_moved_left_ = false;
  std::uint32_t timeouts_ = 0;
  std::uint32_t repeated_segments_ = 0;
};

}  // namespace sluice::sim
