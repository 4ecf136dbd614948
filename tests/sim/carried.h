// The kernel's end of a connection that was handed over: a small but real TCP (RFC 9293) that goes
// on from a snapshot of the engine's. It reassembles what arrives in any order, offers and honours
// windows, retransmits by timer, and checks every byte. Its owner reads and writes it like a
// socket.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "guest_tcp.h"
#include "reassembly.h"
#include "wire/seq_num.h"
#include "wire/transport/tcp.h"
#include "wire/transport/tcp_snapshot.h"

namespace sluice::sim {

// What it needs of the world it lives in.
class CarriedStack {
 public:
  virtual ~CarriedStack() = default;
  [[nodiscard]] virtual Instant now() const = 0;
  virtual void transmit_carried(std::uint32_t connection, const OutgoingSegment& segment) = 0;
  virtual void wake_carried_at(std::uint32_t connection, Instant when) = 0;
};

class CarriedTcp {
 public:
  struct Start {
    wire::TcpSnapshot snapshot{};
    // Where the snapshot's numbers stand in the two streams.
    std::uint64_t from_guest = 0;
    std::uint64_t to_guest = 0;
    std::uint32_t receive_buffer = 65'536;
    std::uint32_t send_buffer = 65'536;
  };

  CarriedTcp(const Start& start, const ConnectionPlan& plan, std::uint32_t number,
             CarriedStack& stack);

  // Says its first word: a window probe, which the guest answers.
  void go_live();
  void on_segment(const wire::TcpView& segment);
  void on_wake();

  // The socket's calls. Offsets and counts are of bytes.
  [[nodiscard]] std::uint64_t unread() const { return received_ - read_; }
  // By one call: an urgent byte ends it.
  [[nodiscard]] std::uint64_t readable() const {
    const bool stops = mark_ && *mark_ > read_ && *mark_ < received_;
    return (stops ? *mark_ : received_) - read_;
  }
  [[nodiscard]] std::uint64_t read_offset() const { return read_; }
  void read(std::uint64_t count);
  [[nodiscard]] bool end_received() const { return end_received_; }
  [[nodiscard]] std::uint64_t writable() const;
  void write(std::uint64_t count);
  void shutdown();
  void reset();

  [[nodiscard]] bool reset_by_guest() const { return reset_by_guest_; }
  // Bytes, or the end, came in and were acknowledged: there is no way back.
  [[nodiscard]] bool has_received() const {
    return received_ != start_.from_guest || end_received_;
  }
  // The guest has acknowledged all that was written, and the end too if there was one.
  [[nodiscard]] bool all_acknowledged() const { return acked_ == written_ + (shut_ ? 1U : 0U); }

 private:
  void on_reset(const wire::TcpView& segment);
  void on_ack(const wire::TcpView& segment);
  void on_data(const wire::TcpView& segment);
  void arrive(std::uint64_t begin, std::uint64_t end);
  void note_urgent(std::uint64_t offset, const wire::TcpView& segment);
  void transmit_more();
  void transmit(std::uint64_t begin, std::uint64_t end);
  void send_ack();
  void send_probe();
  void arm();
  [[nodiscard]] bool waits_for_window() const;
  [[nodiscard]] std::uint64_t edge_that_could_be() const;
  [[nodiscard]] std::uint16_t window_field();
  [[nodiscard]] wire::SeqNum sequence_of(std::uint64_t offset) const;
  [[nodiscard]] wire::SeqNum acknowledgment() const;

  Start start_;
  const ConnectionPlan& plan_;
  std::uint32_t number_;
  CarriedStack& stack_;

  // To the guest; offsets of the host's stream. Our FIN stands at written_.
  std::uint64_t acked_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t highest_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t peer_edge_ = 0;
  wire::SeqNum window_seq_{};
  wire::SeqNum window_ack_{};
  bool shut_ = false;

  // From the guest; offsets of its stream.
  std::uint64_t received_ = 0;
  std::uint64_t read_ = 0;
  std::uint64_t edge_ = 0;  // The right edge that was offered.
  std::vector<Range> early_{};
  std::optional<std::uint64_t> mark_{};  // The urgent byte, until it is read.
  std::uint64_t end_at_ = UINT64_MAX;    // Where its FIN stands.
  bool end_received_ = false;
  bool ack_pending_ = false;

  bool dead_ = false;
  bool reset_by_guest_ = false;
  std::uint32_t backoff_ = 0;
  Instant resend_at_ = kNever;
};

}  // namespace sluice::sim
