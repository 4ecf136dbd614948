#include "driver/io/udp_io.h"

#include <array>

#include "driver/io/icmp_reports.h"

namespace sluice::driver {

UdpIo::UdpIo(IoContext context, flow::Engine& engine)
    : kernel_(context.kernel), loop_(context.loop), engine_(engine), outbound_(context.outbound) {}

UdpIo::Socket* UdpIo::find(flow::UdpId id) {
  if (id.index >= sockets_.size()) return nullptr;
  Socket& socket = sockets_[id.index];
  return socket.id == id && socket.socket.valid() ? &socket : nullptr;
}

std::expected<void, sys::SysError> UdpIo::watch(const Socket& socket) {
  return loop_.add(socket.socket.fd(), EPOLLIN, EventTag::of(EventKind::kUdp, socket.id).pack());
}

void UdpIo::open(const flow::OpenUdp& action, flow::Turn turn) {
  // One socket is for all targets of an endpoint, so those on this machine go this way, too; unless
  // there are no others.
  const host::Outbound::Way way =
      action.at_loopback ? host::Outbound::Way{} : outbound_.of(action.family);
  host::UdpOptions options{.device = way.device};
  if (way.address) options.bind = wire::Endpoint{*way.address, {}};
  auto socket = open_with_room(
      this, turn, [&] { return host::UdpSocket::open(kernel_, action.family, options); });
  if (!socket) {
    engine_.udp().on_open_failed(action.socket, turn);
    return;
  }
  Socket& opened = place(action.socket, std::move(*socket));
  if (!open_with_room(this, turn, [&] { return watch(opened); })) [[unlikely]] {
    opened.socket.close();
    engine_.udp().on_open_failed(action.socket, turn);
  }
}

UdpIo::Socket& UdpIo::place(flow::UdpId id, host::UdpSocket socket) {
  while (sockets_.size() <= id.index) sockets_.emplace_back();
  sockets_[id.index] = Socket{id, std::move(socket)};
  return sockets_[id.index];
}

std::expected<void, sys::SysError> UdpIo::adopt(flow::UdpId id, host::UdpSocket socket) {
  return watch(place(id, std::move(socket)));
}

std::expected<void, sys::SysError> UdpIo::adopt_connected(flow::UdpId id, host::UdpSocket socket) {
  Socket& placed = place(id, std::move(socket));
  placed.connected = true;
  auto watched = watch(placed);
  if (!watched) placed.socket.close();
  return watched;
}

// At once, ahead of the action: whoever asks opens a socket next.
[[gnu::cold]] bool UdpIo::make_room(flow::Turn turn) {
  const auto spared = engine_.udp().give_up_one(turn);
  Socket* const socket = spared ? find(*spared) : nullptr;
  if (socket == nullptr) return false;
  flush(turn);  // Its datagram may be waiting.
  socket->socket.close();
  return true;
}

void UdpIo::close(const flow::CloseUdp& action) {
  if (Socket* socket = find(action.socket)) socket->socket.close();
}

[[gnu::noinline]] void UdpIo::send(const flow::SendUdp& action, flow::Turn turn) {
  if (action.socket != batch_socket_) flush(turn);
  batch_socket_ = action.socket;
  if (!batch_.goes_to(action.target, action.hop_limit, action.local)) {
    batch_.direct({.target = action.target, .hop_limit = action.hop_limit, .source = action.local});
  }
  if (batch_.add(action.payload, action.segment_size)) return;
  flush(turn);
  batch_socket_ = action.socket;
  (void)batch_.add(action.payload, action.segment_size);  // It is empty.
}

[[gnu::noinline]] void UdpIo::flush(flow::Turn turn) {
  if (batch_.empty()) return;
  if (Socket* const socket = find(batch_socket_)) {
    const host::BatchResult result = batch_.flush(socket->socket);
    if (result.dropped > 0) [[unlikely]]
      report(*socket, result, turn);
  } else {
    batch_.clear();
  }
  batch_socket_ = {};
}

[[gnu::cold]] void UdpIo::report(const Socket& socket, const host::BatchResult& result,
                                 flow::Turn turn) {
  for (std::uint64_t i = 0; i < result.dropped; ++i) {
    engine_.drops().count(flow::DropReason::kUdpSendFailed);
  }
  for (const host::BatchResult::Refusal& refusal : result.refusals) {
    if (const auto told = icmp_error_of_send(refusal.error)) {
      engine_.on_udp_error(socket.id, refusal.target, *told, {}, turn);
    }
  }
}

[[gnu::cold]] void UdpIo::read_errors(Socket& socket, flow::Turn turn) {
  std::array<std::uint8_t, kQuoteMax> quote{};
  for (int i = 0; i < kErrorsPerTurn; ++i) {
    const auto report = socket.socket.read_errors(quote);
    if (!report || !*report) return;
    if (const auto error = icmp_error_of(**report)) {
      engine_.on_udp_error(socket.id, (*report)->destination, *error,
                           ByteView(quote).first((*report)->quoted), turn);
    }
  }
}

[[gnu::noinline]] void UdpIo::on_event(const EventTag& tag, std::uint32_t events, Settled settled) {
  const flow::Turn turn{settled.now, settled.out};
  if (tag.index >= sockets_.size()) return;
  Socket& socket = sockets_[tag.index];
  if (!tag.names(socket.id) || !socket.socket.valid()) return;
  const bool failed = (events & EPOLLERR) != 0;
  if (failed && !socket.connected) [[unlikely]]
    read_errors(socket, turn);
  // The error of one that is connected ends with the next call, whatever that is.
  const bool refused = failed && socket.connected;
  if ((events & EPOLLIN) == 0 && !refused) return;
  const std::size_t most = socket.guess.expects_one() ? 1 : kReceiveSlots;
  const auto slots = rows_.slots().first(most);
  const auto count = socket.socket.receive(scratch_, slots);
  if (count) {
    if (most > 1) socket.guess.found(*count);
    for (const host::IncomingDatagram& datagram : slots.first(*count)) {
      engine_.udp().on_received(socket.id, datagram.source, datagram.destination,
                                host::DatagramRows::bytes_of(datagram), datagram.segment_size,
                                turn);
    }
  }
  if (refused) [[unlikely]]
    engine_.udp().on_guest_refused(socket.id, turn);
}

}  // namespace sluice::driver
