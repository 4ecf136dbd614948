// What holds while a world runs, and at its end.
#include "check.h"
#include "world.h"

namespace sluice::sim {

void World::check_flows() {
  for (const ConnectionPlan& plan : scenario_.connections) {
    const flow::TcpFlow* found =
        engine_.tcp().find({plan.guest, plan.remote, wire::IpProtocol::kTcp});
    if (found == nullptr) continue;
    const auto* state = std::get_if<flow::Relaying>(&found->state);
    if (state == nullptr) continue;
    check(state->rx.window_edge - state->rx.received <=
              static_cast<std::int32_t>(flow::TcpFlows::kWindowMax),
          "no window beyond the largest");
    check(state->tx.acked <= state->tx.sent && state->tx.head <= state->tx.acked,
          "the guest's ACK lies within what was sent");
    check(state->tx.sent - state->tx.head <= static_cast<std::int32_t>(plan.host_end.to_send + 1),
          "no more is in flight than the host sent");
    if (state->rx.gaps == nullptr) continue;
    for (const wire::SackBlock& range : state->rx.gaps->stashed.ranges()) {
      check(range.left >= state->rx.received && range.right <= state->rx.window_edge,
            "the stash lies within the window");
    }
  }
}

// After the last connection only what idles is left; it goes by itself.
void World::drain() {
  const Instant end = now_ + std::chrono::minutes(6);
  while (now_ < end) {
    const Instant next =
        events_.empty() ? engine_.next_wakeup() : std::min(engine_.next_wakeup(), events_.top().at);
    if (next == kNever) break;
    step();
  }
  check(engine_.flow_count() == 0, "no flow is left");
  check(engine_.limits().active() == 0, "no flow is counted that is gone");
  check(engine_.next_wakeup() == kNever, "no timer is left");
  check(!engine_.has_deferred(), "no work is left");
  check(host_.pool().blocks_taken() == 0, "no block of the spill is left");
  check(udp_sockets_ == 0 && ping_sockets_ == 0, "no socket is left");
}

void World::check_ends() {
  for (std::uint32_t i = 0; i < guests_.size(); ++i) {
    const GuestTcp& guest = guests_[i];
    const ConnectionPlan& plan = scenario_.connections[i];
    const Host::Result& host = host_.result(i);
    totals_.bytes += guest.received() + host.received;
    totals_.guest_timeouts += guest.timeouts();
    if (host.lost) {
      ++totals_.sockets_lost;
      check(guest.got_reset() || guest.sent_reset() || guest.got_end() || !scenario_.link.lossless,
            "a guest whose host's bytes were lost sees a RST");
    }
    const bool broken = guest.sent_reset() || host.peer_reset || host.connect_failed || host.lost ||
                        plan.guest_refuses || asked_[i].refused ||
                        plan.connect_result != ConnectResult::kAccepted;
    if (scenario_.link.lossless) {
      check(guest.repeated_segments() == 0 || asked_[i].ever,
            "nothing is sent twice on a lossless link");
      check(broken || !guest.got_reset(), "no RST without a cause");
      if (!scenario_.small_pool && !hand_overs_[i].lost_packets && !asked_[i].ever) {
        check(guest.timeouts() == 0, "the guest never waits for its timer on a lossless link");
      }
      // What two send overtakes; note_offer() sees it as it was sent.
      check(!guest.window_ever_moved_left() || hand_overs_[i].attempt > 0,
            "the guest never sees the window's edge move left");
      check(datagrams_seen_ == scenario_.datagrams || datagrams_are_refused(),
            "every datagram reaches the host");
      check(ping_replies_ == scenario_.pings, "every ping is answered");
    }
    if (host.peer_reset && guest.phase() == GuestTcp::Phase::kTimeWait) {
      check(host.closed_cleanly || host.reset_after_end || !scenario_.link.lossless,
            "a RST is passed on");
    }
    const bool by_tap = hand_overs_[i].attempt == 0 && host_.flows_of(i) == 1;
    if (host.peer_reset && by_tap && !host.lost && !asked_[i].refused && !guest.sent_reset() &&
        guest.phase() != GuestTcp::Phase::kRefused &&
        // One whose answer to our SYN is lost for too long hears nothing of a client that has gone.
        (guest.was_open() || scenario_.link.lossless)) {
      check(guest.received() >= host.before_reset, "no RST overtakes the bytes before it");
    }
    if (broken || guest.phase() == GuestTcp::Phase::kRefused) continue;
    if (guest.phase() == GuestTcp::Phase::kReset) {
      // The very last ACK was lost for too long: all data is through by then.
      check(host.closed_cleanly, "a RST only where the connection was over");
    }
    check(host.got_end && host.received == plan.guest_end.to_send,
          "all that the guest sent was delivered");
    check(guest.got_end() && guest.received() == plan.host_end.to_send,
          "all that the host sent was delivered");
  }
}

}  // namespace sluice::sim
