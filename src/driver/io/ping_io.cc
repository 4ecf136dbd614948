#include "driver/io/ping_io.h"

#include <array>
#include <cerrno>

#include "driver/io/icmp_reports.h"
#include "telemetry/log.h"

namespace sluice::driver {

PingIo::Socket* PingIo::find(flow::PingId id) {
  if (id.index >= sockets_.size()) return nullptr;
  Socket& socket = sockets_[id.index];
  return socket.id == id && socket.socket.valid() ? &socket : nullptr;
}

void PingIo::open(const flow::OpenPing& action, flow::Turn turn) {
  auto socket = open_with_room(&room_, turn, [&] {
    return host::PingSocket::open(kernel_, action.family, outbound_.of(action.family));
  });
  if (!socket) {
    const int error = socket.error().error;
    const bool forbidden = error == EACCES || error == EPERM;
    if (forbidden && !told_forbidden_) {
      told_forbidden_ = true;
      telemetry::log_warn(
          "ping beyond the gateway is not permitted here; to allow it, as root: "
          "sysctl -w net.ipv4.ping_group_range='0 2147483647'");
    }
    engine_.ping().on_open_failed(action.socket, forbidden, turn);
    return;
  }
  while (sockets_.size() <= action.socket.index) sockets_.emplace_back();
  sockets_[action.socket.index] = Socket{action.socket, std::move(*socket)};
  if (buffer_ == nullptr) buffer_ = std::make_unique_for_overwrite<std::uint8_t[]>(kMessageMax);
  Socket& opened = sockets_[action.socket.index];
  const auto watched = open_with_room(&room_, turn, [&] {
    return loop_.add(opened.socket.fd(), EPOLLIN,
                     EventTag::of(EventKind::kPing, action.socket).pack());
  });
  if (!watched) [[unlikely]] {
    opened.socket.close();
    engine_.ping().on_open_failed(action.socket, false, turn);
  }
}

void PingIo::send(const flow::SendPing& action, flow::Turn turn) {
  Socket* socket = find(action.socket);
  if (socket == nullptr) return;
  const auto sent = socket->socket.send(action.target, action.message, action.hop_limit);
  if (sent) {
    // A host on this machine has answered by now, and to look is cheaper than a turn of the loop.
    if (socket->late < kLateMost) socket->late = read_reply(*socket, turn) ? 0 : socket->late + 1;
    return;
  }
  if (const auto told = icmp_error_of_send(sent.error().error)) {
    engine_.on_ping_error(action.socket, *told, action.message, turn);
  }
}

void PingIo::close(const flow::ClosePing& action) {
  if (Socket* socket = find(action.socket)) socket->socket.close();
}

void PingIo::read_errors(Socket& socket, flow::Turn turn) {
  std::array<std::uint8_t, kQuoteMax> quote{};
  for (int i = 0; i < kErrorsPerTurn; ++i) {
    const auto report = socket.socket.read_errors(quote);
    if (!report || !*report) return;
    if (const auto error = icmp_error_of(**report)) {
      engine_.on_ping_error(socket.id, *error, ByteView(quote).first((*report)->quoted), turn);
    }
  }
}

bool PingIo::read_reply(Socket& socket, flow::Turn turn) {
  const MutableBytes room(buffer_.get(), kMessageMax);
  const auto reply = socket.socket.receive(room);
  if (!reply || !*reply) return false;
  // send_icmp() copies, so the room may be used again at once.
  engine_.ping().on_reply(socket.id, (*reply)->source, room.first((*reply)->length), turn);
  return true;
}

void PingIo::on_event(const EventTag& tag, std::uint32_t events, flow::Turn turn) {
  if (tag.index >= sockets_.size()) return;
  Socket& socket = sockets_[tag.index];
  if (!tag.names(socket.id) || !socket.socket.valid()) return;
  if ((events & EPOLLERR) != 0) read_errors(socket, turn);
  if ((events & EPOLLIN) == 0) return;
  const std::size_t most = socket.guess.expects_one() ? 1 : kRepliesPerTurn;
  for (std::size_t i = 0; i < most; ++i) {
    if (!read_reply(socket, turn)) {
      socket.guess.found(i);
      return;
    }
  }
  if (most > 1) socket.guess.found(most);
}

}  // namespace sluice::driver
