// Writes to hosts within a limit: what it does not let through yet waits in the spill, as if the
// socket were full, and so the guest's window closes.
#include <utility>

#include "driver/io/tcp_io.h"

namespace sluice::driver {

// All of it at once, or by way of the spill.
[[gnu::cold]] std::expected<std::size_t, sys::SysError> TcpIo::send_within_limit(
    Connection& connection, const flow::WriteTcp& action, const flow::ActionSink& sink,
    Instant now) {
  const auto size = static_cast<std::size_t>(action.until - action.offset);
  const std::size_t claimed = action.lane->claim(size, now);
  std::expected<std::size_t, sys::SysError> sent = 0;
  if (claimed == size) sent = send_ranges(connection, action, sink);
  action.lane->settle(claimed, sent.value_or(0), now);
  return sent;
}

[[gnu::cold]] std::expected<void, sys::SysError> TcpIo::flush_within_limit(Connection& connection,
                                                                           Instant now) {
  const std::size_t claimed = connection.lane->claim(connection.waiting(), now);
  if (claimed == 0) {
    hold_back(connection, now);
    return {};
  }
  const auto sent = send_from(connection.socket, *connection.spill, connection.spill_begin,
                              connection.spill_begin + claimed);
  connection.lane->settle(claimed, sent.value_or(0), now);
  if (!sent) return std::unexpected(sent.error());
  connection.spill_begin += *sent;
  note_spill_free();
  // What the socket did not take, an event tells of.
  if (*sent == claimed && connection.waiting() > 0) hold_back(connection, now);
  return {};
}

void TcpIo::hold_back(Connection& connection, Instant now) {
  if (std::exchange(connection.held_back, true)) return;
  held_back_.add(connection.id, connection.lane->ready_at(now));
}

// Then what waits will not go any more.
[[gnu::cold]] void TcpIo::end_if_used_up(flow::TcpId id, flow::Turn turn) {
  const Connection* const connection = find(id);
  if (connection == nullptr || connection->lane == nullptr || connection->waiting() == 0) return;
  if (connection->lane->used_up()) flows_.on_used_up(id, turn);
}

[[gnu::cold]] void TcpIo::release_held_back(flow::Turn turn) {
  while (const auto id = held_back_.take_due(turn.now)) {
    Connection* const connection = find(*id);
    if (connection == nullptr || connection->failed) continue;
    connection->held_back = false;
    if (connection->waiting() > 0) flush_and_tell(*connection, turn);
  }
}

[[gnu::cold]] void TcpIo::follow_limits(flow::Turn turn) {
  for (Connection& connection : connections_) {
    if (connection.lane == nullptr || !connection.socket.valid()) continue;
    policy::Meter* const meter = flows_.meter_of(connection.id);
    connection.lane = meter == nullptr ? nullptr : &meter->to_host();
    if (connection.waiting() > 0 && !connection.failed) flush_and_tell(connection, turn);
  }
}

}  // namespace sluice::driver
