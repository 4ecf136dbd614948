// What a socket of the host holds for the guest: urgent bytes in their place (SO_OOBINLINE), in
// front of which a read ends, and what becomes of it when less is there than there should be.
#include <algorithm>

#include "check.h"
#include "host.h"

namespace sluice::sim {

// As Linux: a newer urgent byte takes the older one's mark.
void Host::note_write(Socket& socket) {
  const std::uint32_t every = plan(socket).host_end.urgent_every;
  if (every != 0 && ++socket.writes % every == 0) socket.mark = socket.arrived - 1;
}

// EPOLLPRI comes with every event while a mark stands.
void Host::tell_readable(Socket& socket, Instant now) {
  if (socket.mark) socket.urgent = true;
  flows_.on_readable(socket.id, socket.fin_arrived, {now, sink_});
}

std::uint64_t Host::read_until(const Socket& socket, std::uint64_t from) {
  return socket.mark && *socket.mark > from ? *socket.mark : socket.arrived;
}

void Host::take_off(Socket& socket, std::uint64_t count) {
  socket.head += count;
  check(socket.head <= socket.arrived, "only what has arrived is taken off the queue");
  if (socket.mark && socket.head > *socket.mark) socket.mark.reset();
}

void Host::discard(const flow::DiscardTcp& action, Instant now) {
  Socket* socket = find_held(action.flow);
  if (socket == nullptr) return;
  const auto short_at = plan(*socket).short_at;
  const bool comes_up_short =
      short_at && socket->head <= *short_at && *short_at < socket->head + action.bytes;
  take_off(*socket, action.bytes);
  if (!comes_up_short) return;
  socket->lost = true;
  flows_.on_socket_lost(action.flow, {now, sink_});
}

}  // namespace sluice::sim
