// How the host sockets of TCP flows end: failures, resets that wait for the bytes before them, and
// whether a silent peer is still there.
#include <algorithm>
#include <cerrno>
#include <chrono>

#include "driver/io/tcp_io.h"

namespace sluice::driver {

// The connection takes nothing more; what it received can still be read.
[[gnu::cold]] void TcpIo::fail(Connection& connection, int error, flow::Turn turn) {
  connection.failed = true;
  connection.error = error;
  connection.spill_begin = connection.spill_end;
  drop_spill(connection);
  flows_.on_host_error(connection.id, host_error(error), turn);
}

// Bytes that the guest sent from its own memory are read there by the kernel, which says EFAULT
// where that memory is gone.
[[gnu::cold]] void TcpIo::fail_write(const flow::WriteTcp& action, int error, flow::Turn turn) {
  if (Connection* connection = find(action.flow)) {
    if (error == EFAULT) {
      lose(*connection, turn);
      return;
    }
    fail(*connection, error, turn);
  }
  swallow(action, turn);
}

// What was read of the guest's memory last is not what the guest had sent, so that nothing that
// waits may go out: not here, and not in the kernel, where a reset takes it back.
[[gnu::cold]] void TcpIo::lose(Connection& connection, flow::Turn turn) {
  connection.failed = true;
  connection.spill_begin = connection.spill_end;
  drop_spill(connection);
  flows_.on_bytes_lost(connection.id, turn);
}

// Nobody will read it; the guest learns that behind what the host sent before.
[[gnu::cold]] void TcpIo::swallow(const flow::WriteTcp& action, flow::Turn turn) {
  flows_.on_written(action.flow, {action.until - action.offset, 0, kRoomAtFirst}, turn);
}

void TcpIo::close(const flow::CloseTcp& action, Instant now) {
  Connection* connection = find(action.flow);
  if (connection == nullptr) return;
  if (action.forgotten) {
    connection->socket.close_and_forget();
  } else if (!action.reset) {
    connection->socket.close();
  } else if (action.at_once || connection->failed || !connection->connected) {
    connection->socket.reset();
  } else {
    // What a limit holds back does not go out in the end either.
    if (connection->lane != nullptr && connection->waiting() > 0) {
      connection->spill_begin = connection->spill_end;
      drop_spill(*connection);
    }
    late_resets_.add({.socket = std::move(connection->socket),
                      .spill = std::move(connection->spill),
                      .spill_begin = connection->spill_begin,
                      .spill_end = connection->spill_end},
                     now);
    note_spill_free();
  }
  drop_spill(*connection);
}

void TcpIo::on_time(flow::Turn turn) {
  while (const auto id = held_back_.take_due(turn.now)) {
    Connection* const connection = find(*id);
    if (connection == nullptr) continue;
    connection->held_back = false;
    if (connection->waiting() > 0 && !connection->failed) flush_and_tell(*connection, turn);
  }
  if (turn.now < late_resets_.next_wakeup()) return;
  late_resets_.on_time(turn.now);
  note_spill_free();
}

[[gnu::cold]] void TcpIo::on_error(Connection& connection, int error, flow::Turn turn) {
  // A connect is refused; only a connection that stood is reset.
  const bool stood = connection.connected || error == ECONNRESET || error == EPIPE;
  if (!stood) {
    flows_.on_connect_failed(connection.id, host_error(error), turn);
    return;
  }
  if (!connection.connected) {
    connection.connected = true;
    flows_.on_connected(connection.id, kRoomAtFirst, turn);
  }
  fail(connection, error, turn);
}

// The host's kernel asks its peer shortly before the guest asks us, so that we know the answer.
[[gnu::cold]] void TcpIo::probe(const flow::ProbeTcp& action, flow::ActionSink& out) {
  Connection* connection = find(action.flow);
  if (connection == nullptr) return;
  const auto unanswered = connection->socket.unanswered_probes();
  const bool answers = !unanswered || *unanswered == 0;
  const auto idle = std::chrono::duration_cast<std::chrono::seconds>(action.idle).count();
  const auto wanted = static_cast<std::uint32_t>(std::clamp<std::int64_t>(idle - 1, 1, 32'767));
  // While nobody answers the guest asks more often than it does after a silence.
  if (answers && (connection->keep_alive == 0 || wanted < connection->keep_alive)) {
    connection->keep_alive = wanted;
    // The guest decides when it was asked often enough; tcp(7) takes no more than 127.
    connection->socket.keep_alive({.idle_seconds = wanted,
                                   .interval_seconds = std::clamp(wanted / 4, 1U, 15U),
                                   .count = 127});
  }
  flows_.on_probed(action.flow, answers, out);
}

// Nothing is left of a limit: what waits will not go any more.
[[gnu::cold]] void TcpIo::end_if_used_up(flow::TcpId id, flow::Turn turn) {
  const Connection* const connection = find(id);
  if (connection == nullptr || connection->lane == nullptr || connection->waiting() == 0) return;
  if (connection->lane->used_up()) flows_.on_used_up(id, turn);
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
