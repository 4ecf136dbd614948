// The command ends in the middle of a run, as driver/worker goes about it: what the guest's
// programs wrote is delivered, or else its host sees a RST.
#include <fmt/core.h>

#include "check.h"
#include "world.h"

namespace sluice::sim {

// Its programs write no more and read no more; its kernel goes on.
void World::end_command() {
  ended_ = true;
  for (std::uint32_t i = 0; i < guests_.size(); ++i) {
    GuestTcp& guest = guests_[i];
    EndPlan& plan = scenario_.connections[i].guest_end;
    plan.pause = {};
    if (guest.phase() != GuestTcp::Phase::kOpen || guest.fin_was_sent()) continue;
    delivers_.push_back(i);
    if (plan.ending == Ending::kReset) continue;
    plan.to_send = guest.written();
    plan.ending = Ending::kAfterSending;
    plan.read_interval = {};
    guest.look_again();
  }
  engine_.tcp().begin_drain(now_);
  host_.begin_drain();
  if (verbose_) {
    fmt::print("{:.6f} the command ends\n", std::chrono::duration<double>(now_ - start_).count());
  }
}

bool World::drained() {
  for (const HandOver& hand_over : hand_overs_) {
    if (hand_over.stage == HandOver::Stage::kCarried) {
      engine_.tcp().on_carried_waiting(hand_over.id, hand_over.socket->unread(),
                                       host_.state_of(hand_over.id).shut);
    } else if (hand_over.stage == HandOver::Stage::kClosing) {
      engine_.tcp().on_carried_waiting(hand_over.id, 0, true);
    }
  }
  return engine_.tcp().undelivered(now_).flows == 0;
}

void World::shut_down() {
  (void)engine_.shut_down({now_, sink_});
  settle();
  check(engine_.flow_count() == 0 && host_.open_sockets() == 0, "nothing is left at the end");
  ++totals_.ended;
  for (std::uint32_t i = 0; i < guests_.size(); ++i) {
    const Host::Result& host = host_.result(i);
    if (!host.was_open) continue;
    const bool all = host.got_end && host.received == scenario_.connections[i].guest_end.to_send;
    check(all || host.got_reset || host.peer_reset, "a host has all, or sees a RST");
  }
  // Without loss nothing is given up that a host goes on to take.
  if (!scenario_.link.lossless || scenario_.small_pool) return;
  for (const std::uint32_t i : delivers_) {
    const Host::Result& host = host_.result(i);
    if (guests_[i].sent_reset() || host.peer_reset || host.lost || hand_overs_[i].lost_packets ||
        asked_[i].ever)
      continue;
    check(host.got_end, "all that the guest wrote is delivered after its end");
  }
}

void Host::close_at_end(Socket& socket, const flow::CloseTcp& action) {
  Result& result = results_[socket.connection];
  const bool told = socket.shut && socket.waiting() == 0;
  const bool broken = guest_(socket.connection).sent_reset || guest_(socket.connection).gone ||
                      socket.reset || socket.lost || !socket.open;
  check(broken || action.reset != told, "a FIN where the host has all, and a RST where not");
  if (action.reset) {
    result.got_reset = true;
    result.lost = result.lost || socket.lost;
  } else {
    result.received = socket.taken;
    result.got_end = true;
  }
  release(socket);
}

}  // namespace sluice::sim
