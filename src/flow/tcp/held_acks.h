// ACKs of small requests, which wait a moment for the host's answer and go out with it: a frame
// less for the guest to be woken for, in each exchange (RFC 9293, 3.8.6.3; RFC 1122, 4.2.3.2).
//
// A host that is far away answers later than that. Then the ACK goes alone, and those that follow
// do so at once until the host has answered in time often enough: a guest that waits for the ACK
// before it sends the rest of its request (RFC 896) is hardly ever held up.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/slab.h"
#include "base/time.h"
#include "flow/tcp/tcp_flow.h"

namespace sluice::flow {

class HeldAcks {
 public:
  // Hosts on this machine and on its network answer sooner.
  static constexpr Duration kPatience = std::chrono::milliseconds(1);
  // Answers in time that it takes, after one that was late.
  static constexpr std::uint8_t kAnswersInTime = 16;
  // At once. More than these, and ACKs go at once.
  static constexpr std::size_t kMax = 256;

  struct Held {
    TcpId flow;
    Instant due{};
  };

  // No ACK waits longer than `patience`; none at all where that is zero.
  explicit HeldAcks(Duration patience) : patience_(patience) {}

  // Whether the ACK that `flow` owes may wait. It is held from here on, if it was not before.
  [[nodiscard]] bool hold(TcpFlow& flow, const Relaying& state, Instant now) {
    const bool at_once = flow.answers_awaited != 0 || patience_ == Duration::zero();
    if (at_once || !may_wait(flow, state)) return false;
    if (flow.ack_by != kNever) return true;
    if (size_ == kMax) return false;
    flow.ack_by = now + patience_;
    ring_[(first_ + size_++) % kMax] = {flow.id, flow.ack_by};
    return true;
  }
  // The host has answered what the guest sent last.
  void note_answer(TcpFlow& flow, Instant now) const {
    if (flow.answers_awaited != 0 && now - flow.moved <= patience_) --flow.answers_awaited;
  }

  // An ACK of all that the flow owes one for has gone out, or the flow is gone.
  void note_sent(TcpFlow& flow, const Slab<TcpFlow>& flows) {
    flow.ack_due = false;
    if (flow.ack_by != kNever) [[unlikely]]
      withdraw(flow, flows);
  }

  // When the first is due.
  [[nodiscard]] Instant next_due() const { return size_ == 0 ? kNever : ring_[first_].due; }
  // The flow of the first that is due and was not sent meanwhile, and waits no more; or none.
  [[nodiscard]] TcpFlow* take_due(Slab<TcpFlow>& flows, Instant now) {
    while (next_due() <= now) {
      const Held held = ring_[first_];
      forget_first();
      TcpFlow* flow = flows.find(held.flow);
      if (flow == nullptr || flow->ack_by != held.due) continue;
      flow->ack_by = kNever;
      flow->answers_awaited = kAnswersInTime;
      return flow;
    }
    return nullptr;
  }

 private:
  void forget_first() {
    first_ = (first_ + 1) % kMax;
    --size_;
  }
  // Those that have gone out are forgotten once they are first, so that they wake nobody.
  [[gnu::noinline]] void withdraw(TcpFlow& flow, const Slab<TcpFlow>& flows) {
    flow.ack_by = kNever;
    for (; size_ != 0; forget_first()) {
      const TcpFlow* first = flows.find(ring_[first_].flow);
      if (first != nullptr && first->ack_by == ring_[first_].due) return;
    }
  }
  // Of a connection in which nothing but a small request, or the guest's FIN, is new.
  [[nodiscard]] static bool may_wait(const TcpFlow& flow, const Relaying& state) {
    const auto& [rx, tx] = state;
    const std::uint32_t unheard = distance(rx.acknowledged, rx.received);
    const bool small = unheard != 0 && unheard < flow.guest.mss;
    const bool smooth = rx.gaps == nullptr && tx.loss == nullptr && rx.buffered == 0;
    return small && smooth && !tx.end_seen && !tx.fin_sent && !flow.host_failed &&
           flow.hand_over == HandOverStage::kNone;
  }

  Duration patience_;
  std::array<Held, kMax> ring_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace sluice::flow
