// Sockets of the host that the engine gave away: who may touch one, and the calls of the carrier.
#include "check.h"
#include "guest_tcp.h"
#include "host.h"
#include "pattern.h"

namespace sluice::sim {

Host::Socket* Host::find_held(flow::TcpId id) {
  Socket* socket = find(id);
  check(socket == nullptr || socket->holder == Holder::kEngine,
        "the engine leaves a socket alone that it asked to hand over");
  return socket;
}

bool Host::give_to(flow::TcpId id, Holder holder, Instant now) {
  Socket* socket = find(id);
  if (socket == nullptr) return false;
  socket->holder = holder;
  plan_peer(*socket, now);
  return true;
}

Host::SocketState Host::state_of(flow::TcpId id) {
  const Socket* socket = find(id);
  check(socket != nullptr, "the socket of a flow is there");
  return {.taken = socket->taken,
          .head = socket->head,
          .arrived = socket->arrived,
          .readable = read_until(*socket, socket->head) - socket->head,
          .spilled = socket->waiting(),
          .end_arrived = socket->fin_arrived,
          .reset = socket->reset,
          .shut = socket->shut};
}

Host::Socket& Host::carried(flow::TcpId id) {
  Socket* socket = find(id);
  check(socket != nullptr && socket->holder == Holder::kCarrier, "the socket is the carrier's");
  return *socket;
}

std::uint64_t Host::send(flow::TcpId id, std::uint64_t count, Instant now) {
  Socket& socket = carried(id);
  const ByteView bytes = Pattern::at(GuestTcp::salt_out(socket.connection), socket.taken, count);
  const std::size_t taken = take(socket, socket.taken, bytes);
  plan_peer(socket, now);
  return taken;
}

void Host::receive(flow::TcpId id, std::uint64_t count, Instant now) {
  Socket& socket = carried(id);
  take_off(socket, count);
  plan_peer(socket, now);
}

void Host::pass_end(flow::TcpId id, Instant now) { shut(carried(id), now); }

}  // namespace sluice::sim
