// The end of a connection whose first bytes were refused in the guest's own protocol: its host's
// socket is gone, and what we say, with our FIN behind it, is ours to repeat until the guest has
// it. What the guest still sends is acknowledged and forgotten, as a RST would take the answer away
// from a program that has not read it yet.
#pragma once

#include <cstdint>
#include <vector>

#include "flow/core/flow_key.h"
#include "flow/ip/guest_link.h"
#include "wire/seq_num.h"

namespace sluice::flow {

struct Refused {
  enum class Next : std::uint8_t {
    kStays,
    kClosed,    // Both sides are through. Repeats of the guest's FIN may still come.
    kGone,      // Nobody is there any more.
    kReopened,  // The guest uses the port again.
  };
  // Of the connection. Nothing is owned.
  struct End {
    const FlowKey& key;
    const GuestLink& link;
    std::uint16_t segment_size = 0;  // The guest's MSS.
  };
  static constexpr std::uint8_t kResendsMax = 5;

  wire::SeqNum guest_next;  // RCV.NXT
  wire::SeqNum acked;       // SND.UNA; at first where the answer begins.
  std::vector<std::uint8_t> answer;
  wire::SeqNum first = acked;
  bool guest_finished = false;
  std::uint8_t resends = 0;

  // Behind our FIN.
  [[nodiscard]] wire::SeqNum next() const {
    return first + static_cast<std::uint32_t>(answer.size()) + 1;
  }
  [[nodiscard]] bool is_closed() const { return guest_finished && acked == next(); }

  // What of the answer the guest does not have.
  void send(const End& end, ActionSink& out) const;
  [[nodiscard]] Next on_segment(const End& end, const wire::TcpView& segment, ActionSink& out);
  // Sends again; kGone: the guest was asked often enough, and is reset.
  [[nodiscard]] Next on_timer(const End& end, ActionSink& out);

 private:
  void acknowledge(const End& end, ActionSink& out) const;
};

}  // namespace sluice::flow
