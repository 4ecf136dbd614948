// What the host sends: looked at in the socket's queue, where it stays until the guest has it.
#include <algorithm>
#include <array>
#include <cerrno>

#include "driver/io/tcp_io.h"

namespace sluice::driver {
namespace {

// A flow whose peeks are smaller is not worth the look at the guest's buffers.
constexpr std::uint32_t kRoomWorthwhile = 16 * 1024;

}  // namespace

std::expected<sys::ReadResult, sys::SysError> TcpIo::peek_parts(Connection& connection,
                                                                std::uint32_t offset,
                                                                std::span<const iovec> parts) {
  const auto wanted = static_cast<std::int32_t>(offset);
  // A flow whose every answer is acknowledged before the next never needs the offset.
  if (connection.peek_offset != wanted && !(connection.peek_offset < 0 && wanted == 0)) {
    const auto set = connection.socket.set_peek_offset(wanted);
    if (!set) return std::unexpected(set.error());
    connection.peek_offset = wanted;
  }
  const auto result = connection.socket.peek(parts);
  if (result && connection.peek_offset >= 0) {
    connection.peek_offset += static_cast<std::int32_t>(result->bytes);
  }
  return result;
}

std::expected<sys::ReadResult, sys::SysError> TcpIo::peek_at(Connection& connection,
                                                             std::uint32_t offset,
                                                             std::size_t max) {
  const iovec all{.iov_base = peek_buffer_.get(), .iov_len = max};
  if (peek_offset_supported_) [[likely]]
    return peek_parts(connection, offset, {&all, 1});
  // An older kernel copies what was sent already, too, and we look past it.
  if (skipped_.size() < offset) skipped_.resize(offset);
  const std::array parts{iovec{.iov_base = skipped_.data(), .iov_len = offset}, all};
  auto result = connection.socket.peek(parts);
  if (!result || result->status != sys::ReadStatus::kData) return result;
  // There is more, perhaps, behind an urgent byte, or an end: only the head tells.
  result->bytes -= std::min<std::size_t>(result->bytes, offset);
  return result;
}

// The frames are the same as without: the engine cuts the peek buffer, of which nobody reads what
// lies in the room, and what the room does not hold is there.
[[gnu::noinline]] std::expected<sys::ReadResult, sys::SysError> TcpIo::peek_into_room(
    Connection& connection, std::uint32_t offset, std::size_t max) {
  const auto to_come = flows_.frames_to_come(connection.id);
  if (!to_come) return peek_at(connection, offset, max);
  // As much as there was before, in whole frames, and one more.
  const std::size_t frames = connection.peeked / to_come->payload + 1;
  const auto room = link_->room_for({.flow = to_come->flow,
                                     .headers = to_come->headers,
                                     .payload = to_come->payload,
                                     .bytes = std::min(max, frames * to_come->payload)});
  if (room.empty()) return peek_at(connection, offset, max);
  std::array<iovec, link::Link::kRoomPiecesMax + 1> parts;
  std::size_t count = 0;
  std::size_t bytes = 0;
  for (const MutableBytes piece : room) {
    parts[count++] = {.iov_base = piece.data(), .iov_len = piece.size()};
    bytes += piece.size();
  }
  if (bytes < max) {
    parts[count++] = {.iov_base = peek_buffer_.get() + bytes, .iov_len = max - bytes};
  }
  const auto result = peek_parts(connection, offset, std::span(parts).first(count));
  if (result && result->status == sys::ReadStatus::kData && result->bytes > 0) return result;
  // The host's side is well where only the guest's memory is gone.
  const bool is_gone = !result && result.error().error == EFAULT;
  link_->leave_room(is_gone);
  return is_gone ? peek_at(connection, offset, max) : result;
}

[[gnu::noinline]] void TcpIo::peek(const flow::PeekTcp& action, FramesWritten written) {
  const flow::Turn turn{written.now, written.out};
  Connection* connection = find(action.flow);
  if (connection == nullptr) return;
  const std::size_t max = std::min<std::size_t>(action.max, kPeekMax);
  const bool looks_for_room = link_ != nullptr && connection->peeked >= kRoomWorthwhile &&
                              link_->offers_room() && peek_offset_supported_;
  const auto result = looks_for_room ? peek_into_room(*connection, action.offset, max)
                                     : peek_at(*connection, action.offset, max);
  if (!result) {
    fail(*connection, result.error().error, turn);
    flows_.on_peeked(action.flow, {action.sequence, flow::PeekStatus::kEndOfStream, {}, false},
                     turn);
    return;
  }
  switch (result->status) {
    case sys::ReadStatus::kWouldBlock:
      connection->urgent = false;
      flows_.on_peeked(action.flow, {action.sequence, flow::PeekStatus::kWouldBlock, {}, false},
                       turn);
      return;
    case sys::ReadStatus::kEndOfStream:
      flows_.on_peeked(action.flow, {action.sequence, flow::PeekStatus::kEndOfStream, {}, false},
                       turn);
      return;
    case sys::ReadStatus::kData:
      if (result->bytes == 0) [[unlikely]] {
        flows_.on_peeked(action.flow, {action.sequence, flow::PeekStatus::kBehindUnread, {}, false},
                         turn);
        return;
      }
      connection->peeked = static_cast<std::uint32_t>(result->bytes);
      // In front of an urgent byte a read ends before the buffer is full.
      flows_.on_peeked(
          action.flow,
          {action.sequence, flow::PeekStatus::kData, ByteView(peek_buffer_.get(), result->bytes),
           result->bytes == max || connection->urgent},
          turn);
      // A flow that is gone makes no frames.
      if (looks_for_room && turn.out.frames().empty()) [[unlikely]]
        link_->leave_room(false);
      return;
  }
}

void TcpIo::discard(const flow::DiscardTcp& action, flow::Turn turn) {
  Connection* connection = find(action.flow);
  if (connection == nullptr) return;
  if (connection->socket.discard(action.bytes) != action.bytes) [[unlikely]] {
    // What the guest has had is no longer at the head of the queue, so what is there is not what
    // comes next.
    flows_.on_socket_lost(action.flow, turn);
    return;
  }
  if (connection->peek_offset >= 0) {
    connection->peek_offset =
        std::max(0, connection->peek_offset - static_cast<std::int32_t>(action.bytes));
  }
}

}  // namespace sluice::driver
