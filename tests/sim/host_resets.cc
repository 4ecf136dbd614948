// Resets of either end, and the bytes that stand before them.
#include <algorithm>

#include "check.h"
#include "host.h"

namespace sluice::sim {

void Host::peer_resets(Socket& socket, Instant now) {
  socket.reset = true;
  Result& result = results_[socket.connection];
  result.peer_reset = true;
  result.reset_after_end = socket.fin_arrived;
  result.before_reset = socket.arrived;
  if (socket.holder == Holder::kCarrier) {
    carrier_(socket.connection);
    return;
  }
  // As driver/io/tcp_io: what waits is of no use, what arrived can still be read.
  socket.spill.reset();
  socket.spill_begin = socket.spill_end;
  note_pool();
  flows_.on_host_error(
      socket.id, socket.fin_arrived ? flow::HostError::kResetAfterEnd : flow::HostError::kReset,
      {now, sink_});
}

// driver/io/late_resets: what came before a RST of the guest's is delivered before it.
void Host::check_guests_reset(Socket& socket, const GuestState& guest) {
  const bool passed_on = guest.sent_reset && !socket.reset && !socket.lost && socket.open &&
                         socket.holder == Holder::kEngine && !scenario_.small_pool;
  // Elsewhere bytes or the RST itself may have been lost, so that the flow ended by its age.
  if (!passed_on || !guest.reset_at || !scenario_.link.lossless) return;
  const std::uint64_t end = std::max(socket.taken, socket.spill_end);
  check(std::min(*guest.reset_at, plan(socket).guest_end.to_send) == end,
        "no RST of the guest's overtakes the bytes before it");
  results_[socket.connection].received = end;
}

}  // namespace sluice::sim
