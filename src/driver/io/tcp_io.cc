#include "driver/io/tcp_io.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "driver/io/limited_send.h"
#include "trace/probe.h"

namespace sluice::driver {
namespace {

constexpr std::uint32_t kTcpEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;
// Below this the kernel is asked again.
constexpr std::uint32_t kRoomLow = 512 * 1024;
constexpr std::size_t kPartsMax = 128;
constexpr host::TcpOptions kOptions{.urgent_inline = true, .guarded = true};

}  // namespace

flow::HostError host_error(int error) {
  switch (error) {
    case ECONNREFUSED: return flow::HostError::kRefused;
    case ECONNRESET: return flow::HostError::kReset;
    case EPIPE: return flow::HostError::kResetAfterEnd;  // As Linux tells it.
    case ENETUNREACH:
    case ENETDOWN: return flow::HostError::kNetUnreachable;
    case EHOSTUNREACH:
    case EHOSTDOWN: return flow::HostError::kHostUnreachable;
    case EACCES:
    case EPERM: return flow::HostError::kProhibited;
    case ETIMEDOUT: return flow::HostError::kTimedOut;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC: return flow::HostError::kNoDescriptors;
    default: return flow::HostError::kOther;
  }
}

TcpIo::TcpIo(IoContext context, flow::TcpFlows& flows, std::size_t spill_max)
    : kernel_(context.kernel),
      loop_(context.loop),
      flows_(flows),
      outbound_(context.outbound),
      peek_offset_supported_(host::peek_offset_supported(kernel_, wire::IpFamily::kV4)),
      pool_(spill_max),
      peek_buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(kPeekMax)) {
  note_spill_free();
}

TcpIo::Connection* TcpIo::find(flow::TcpId id) {
  if (id.index >= connections_.size()) return nullptr;
  Connection& connection = connections_[id.index];
  return connection.id == id && connection.socket.valid() ? &connection : nullptr;
}

TcpIo::Connection& TcpIo::place(flow::TcpId id) {
  while (connections_.size() <= id.index) connections_.emplace_back();
  Connection& connection = connections_[id.index];
  drop_spill(connection);
  connection = Connection{};
  connection.id = id;
  return connection;
}

StreamBuffer& TcpIo::spill_of(Connection& connection) {
  if (connection.spill == nullptr) connection.spill = std::make_unique<StreamBuffer>(pool_);
  return *connection.spill;
}

void TcpIo::drop_spill(Connection& connection) {
  if (connection.spill == nullptr) return;
  connection.spill.reset();
  note_spill_free();
}

void TcpIo::note_spill_free() { flows_.set_spill_free(pool_.bytes_free()); }

std::expected<void, sys::SysError> TcpIo::watch(const Connection& connection) {
  // Edge-triggered and for good: no call to change interest on the data path.
  return loop_.add(connection.socket.fd(), kTcpEvents,
                   EventTag::of(EventKind::kTcp, connection.id).pack());
}

void TcpIo::connect(const flow::ConnectTcp& action, flow::Turn turn) {
  auto socket =
      open_with_room(room_, turn, [&] { return socket_for(action.target.address.family()); });
  const auto started =
      socket ? start_connect(*socket, action.target) : std::unexpected(socket.error());
  if (!started) {
    flows_.on_connect_failed(action.flow, host_error(started.error().error), turn);
    return;
  }
  SLUICE_PROBE(connect_issued, action.flow.index, 0, 0);
  Connection& connection = place(action.flow);
  connection.socket = std::move(*socket);
  const auto watched = open_with_room(room_, turn, [&] { return watch(connection); });
  if (!watched) [[unlikely]] {
    flows_.on_connect_failed(action.flow, host_error(watched.error().error), turn);
    return;
  }
  if (connection.socket.is_established()) on_established(connection, turn);
}

std::expected<void, sys::SysError> TcpIo::start_connect(host::TcpSocket& socket,
                                                        const wire::Endpoint& target) const {
  if (const host::Outbound::Way* const way = outbound_.way_to(target.address)) [[unlikely]] {
    if (auto left = socket.leave_by(*way); !left) return left;
  }
  return socket.start_connect(target);
}

std::expected<host::TcpSocket, sys::SysError> TcpIo::socket_for(wire::IpFamily family) {
  prepare_for_ = family;
  host::TcpSocket& prepared = prepared_[family == wire::IpFamily::kV4 ? 0 : 1];
  if (prepared.valid()) return std::move(prepared);
  return host::TcpSocket::open(kernel_, family, kOptions);
}

void TcpIo::prepare() {
  if (!prepare_for_) return;
  host::TcpSocket& prepared = prepared_[*prepare_for_ == wire::IpFamily::kV4 ? 0 : 1];
  if (!prepared.valid()) {
    // Without descriptors left, the next connection finds that out for itself.
    if (auto socket = host::TcpSocket::open(kernel_, *prepare_for_, kOptions)) {
      prepared = std::move(*socket);
    }
  }
  prepare_for_.reset();
}

void TcpIo::on_established(Connection& connection, flow::Turn turn) {
  connection.connected = true;
  set_room(connection, kRoomAtFirst);
  flows_.on_connected(connection.id, connection.room, turn);
}

void TcpIo::set_room(Connection& connection, std::uint32_t room) {
  connection.room = room;
  connection.room_told = room;
}

bool TcpIo::adopt(flow::TcpId id, host::TcpSocket socket) {
  Connection& connection = place(id);
  connection.socket = std::move(socket);
  connection.connected = true;
  set_room(connection, kRoomAtFirst);
  return watch(connection).has_value();
}

host::TcpSocket TcpIo::take(flow::TcpId id) {
  Connection* connection = find(id);
  if (connection == nullptr) return {};
  drop_spill(*connection);
  return std::move(connection->socket);
}

void TcpIo::stash(const flow::StashTcp& action, flow::Turn turn) {
  std::size_t taken = 0;
  Connection* connection = find(action.flow);
  if (connection != nullptr && connection->failed) {
    taken = action.bytes.size();  // As a write.
  } else if (connection != nullptr) {
    taken = spill_of(*connection).insert(action.offset, action.bytes);
    note_spill_free();
  }
  flows_.on_stashed(action.flow, action.bytes.size(), taken);
  if (connection != nullptr && !borrowed_is_intact()) [[unlikely]]
    lose(*connection, turn);
}

std::expected<std::size_t, sys::SysError> TcpIo::send_ranges(Connection& connection,
                                                             const flow::WriteTcp& action,
                                                             const flow::ActionSink& sink) {
  std::array<iovec, kPartsMax> parts;
  std::size_t sent = 0;
  std::uint32_t at = action.first_range;
  while (at != flow::kNoRange) {
    std::size_t count = 0;
    std::size_t bytes = 0;
    for (; at != flow::kNoRange && count < parts.size(); at = sink.range(at).next) {
      const ByteView range = sink.range(at).bytes;
      parts[count++] = {.iov_base = const_cast<std::uint8_t*>(range.data()),
                        .iov_len = range.size()};
      bytes += range.size();
    }
    const auto result = connection.socket.send(std::span(parts).first(count));
    if (!result) return result;
    sent += *result;
    if (*result < bytes) break;
  }
  return sent;
}

// Copies what the kernel did not take behind what waits already.
[[gnu::noinline]] void TcpIo::spill_ranges(Connection& connection, const flow::WriteTcp& action,
                                           std::size_t sent, const flow::ActionSink& sink) {
  StreamBuffer& spill = spill_of(connection);
  std::uint64_t offset = action.offset;
  const std::uint64_t from = action.offset + sent;
  for (std::uint32_t at = action.first_range; at != flow::kNoRange; at = sink.range(at).next) {
    const ByteView range = sink.range(at).bytes;
    const std::uint64_t end = offset + range.size();
    if (end > from) {
      const std::size_t skip = from > offset ? static_cast<std::size_t>(from - offset) : 0;
      const ByteView rest = range.subspan(skip);
      if (spill.insert(offset + skip, rest) < rest.size()) break;  // The pool is empty.
    }
    offset = end;
  }
  // What is not here, whether now or from a stash, the guest will send again.
  connection.spill_end = std::min(action.until, spill.present_until(connection.spill_begin));
}

[[gnu::noinline]] void TcpIo::write(const flow::WriteTcp& action, flow::Turn turn) {
  Connection* connection = find(action.flow);
  if (connection == nullptr) return;
  if (connection->failed) [[unlikely]] {
    swallow(action, turn);
    return;
  }
  // Asked again behind what was read: another thread may have found it gone meanwhile.
  if (!borrowed_is_intact()) [[unlikely]] {
    lose(*connection, turn);
    return;
  }
  std::size_t sent = 0;
  connection->lane = action.lane;
  if (connection->waiting() == 0) {
    const auto result = action.lane == nullptr
                            ? send_ranges(*connection, action, turn.out)
                            : send_whole(*action.lane, action.until - action.offset, turn.now, [&] {
                                return send_ranges(*connection, action, turn.out);
                              });
    if (!result) {
      fail_write(action, result.error().error, turn);
      return;
    }
    sent = *result;
    connection->room -= std::min<std::uint32_t>(connection->room, static_cast<std::uint32_t>(sent));
    connection->spill_begin = action.offset + sent;
    connection->spill_end = connection->spill_begin;
  }
  const bool waits = action.offset + sent < action.until;
  if (waits) [[unlikely]]
    spill_ranges(*connection, action, sent, turn.out);
  if (!borrowed_is_intact()) [[unlikely]] {
    lose(*connection, turn);
    return;
  }
  if (waits) [[unlikely]] {
    if (const auto flushed = flush_spill(*connection, turn.now); !flushed) {
      fail_write(action, flushed.error().error, turn);
      return;
    }
  } else if (connection->spill != nullptr && !connection->spill->holds_blocks()) {
    drop_spill(*connection);
  }
  update_room(*connection);
  flows_.on_written(action.flow,
                    {connection->spill_end - action.offset, connection->waiting(),
                     room_within(action.lane, connection->room)},
                    turn);
  if (action.lane != nullptr) [[unlikely]]
    end_if_used_up(action.flow, turn);
}

std::expected<void, sys::SysError> TcpIo::flush_spill(Connection& connection, Instant now) {
  if (connection.waiting() == 0) return {};
  const std::uint64_t begin = connection.spill_begin;
  const auto send_up_to = [&](std::uint64_t end) {
    return send_from(connection.socket, *connection.spill, begin, end);
  };
  if (connection.lane == nullptr) [[likely]] {
    const auto sent = send_up_to(connection.spill_end);
    if (!sent) return std::unexpected(sent.error());
    connection.spill_begin += *sent;
  } else {
    const auto sent = send_some(*connection.lane, connection.waiting(), now,
                                [&](std::size_t bytes) { return send_up_to(begin + bytes); });
    if (!sent) return std::unexpected(sent.error());
    connection.spill_begin += sent->bytes;
    // What the socket did not take, an event tells of.
    if (sent->held_back && !std::exchange(connection.held_back, true)) {
      held_back_.add(connection.id, connection.lane->ready_at(now));
    }
  }
  note_spill_free();
  return {};
}

void TcpIo::update_room(Connection& connection) {
  if (connection.waiting() > 0) {
    set_room(connection, 0);
    return;
  }
  const bool little_spent = connection.room_told - connection.room < connection.room_told / 8;
  if (connection.room >= kRoomLow || little_spent) return;
  const auto queued = connection.socket.unacknowledged_bytes();
  const auto size = connection.socket.send_buffer_size();
  if (!queued || !size) return;
  set_room(connection, static_cast<std::uint32_t>(*size > *queued ? *size - *queued : 0));
}

void TcpIo::shutdown(const flow::ShutdownTcp& action) {
  if (Connection* connection = find(action.flow)) {
    (void)connection->socket.shutdown_write();
    SLUICE_PROBE(fin_to_host, action.flow.index, 0, 0);
  }
}

void TcpIo::flush_and_tell(Connection& connection, flow::Turn turn) {
  if (const auto flushed = flush_spill(connection, turn.now); !flushed) {
    fail(connection, flushed.error().error, turn);
    return;
  }
  update_room(connection);
  const flow::TcpId id = connection.id;
  flows_.on_room(id, connection.waiting(), room_within(connection.lane, connection.room), turn);
  if (connection.lane != nullptr) [[unlikely]]
    end_if_used_up(id, turn);
}

[[gnu::noinline]] void TcpIo::on_event(const EventTag& tag, std::uint32_t events, flow::Turn turn) {
  if (tag.index >= connections_.size()) return;
  Connection& connection = connections_[tag.index];
  if (!tag.names(connection.id) || !connection.socket.valid()) return;
  const flow::TcpId id = connection.id;
  if ((events & EPOLLERR) != 0) [[unlikely]] {
    if (const auto error = connection.socket.connect_result(); !error) {
      on_error(connection, error.error().error, turn);
      return;
    }
  }
  if ((events & EPOLLOUT) != 0) {
    if (!connection.connected) {
      on_established(connection, turn);
    } else if (connection.waiting() > 0) {
      flush_and_tell(connection, turn);
      // It may have failed, or ended.
      if (connection.failed || connection.id != id || !connection.socket.valid()) return;
    }
  }
  if ((events & EPOLLPRI) != 0) connection.urgent = true;
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLPRI)) != 0 && connection.connected) {
    flows_.on_readable(id, (events & EPOLLRDHUP) != 0, turn);
  }
}

}  // namespace sluice::driver
