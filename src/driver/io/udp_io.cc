#include "driver/io/udp_io.h"

#include <algorithm>
#include <array>

#include "driver/io/icmp_reports.h"

namespace sluice::driver {
namespace {

// What one UDP_SEGMENT send may carry.
constexpr std::size_t kRowBytesMax = 65'000;
// Segments must fit the path's MTU; larger ones go out alone and are fragmented by the kernel.
constexpr std::size_t kSegmentMax = 1452;
constexpr std::size_t kPartsMax = 512;

}  // namespace

UdpIo::UdpIo(sys::Kernel& kernel, sys::EventLoop& loop, flow::Engine& engine)
    : kernel_(kernel),
      loop_(loop),
      engine_(engine),
      receive_buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(kReceiveSlots * kSlotSize)) {
  batch_.reserve(kBatch);
  parts_.reserve(kPartsMax);
  outgoing_.reserve(kBatch);
  for (std::size_t i = 0; i < kReceiveSlots; ++i) {
    receive_parts_[i] = {.iov_base = receive_buffer_.get() + i * kSlotSize, .iov_len = kSlotSize};
    incoming_[i].buffer = std::span(receive_parts_).subspan(i, 1);
  }
}

UdpIo::Socket* UdpIo::find(flow::UdpId id) {
  if (id.index >= sockets_.size()) return nullptr;
  Socket& socket = sockets_[id.index];
  return socket.id == id && socket.socket.valid() ? &socket : nullptr;
}

std::expected<void, sys::SysError> UdpIo::watch(const Socket& socket) {
  return loop_.add(socket.socket.fd(), EPOLLIN, EventTag::of(EventKind::kUdp, socket.id).pack());
}

void UdpIo::open(const flow::OpenUdp& action, Instant now, flow::ActionSink& out) {
  auto socket = open_with_room(this, now, out,
                               [&] { return host::UdpSocket::open(kernel_, action.family, {}); });
  if (!socket) {
    engine_.udp().on_open_failed(action.socket, now, out);
    return;
  }
  Socket& opened = place(action.socket, std::move(*socket));
  if (!open_with_room(this, now, out, [&] { return watch(opened); })) [[unlikely]] {
    opened.socket.close();
    engine_.udp().on_open_failed(action.socket, now, out);
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

// At once, ahead of the action: whoever asks opens a socket next.
[[gnu::cold]] bool UdpIo::make_room(Instant now, flow::ActionSink& out) {
  const auto spared = engine_.udp().give_up_one(now, out);
  Socket* const socket = spared ? find(*spared) : nullptr;
  if (socket == nullptr) return false;
  flush(now, out);  // Its datagram may be waiting.
  socket->socket.close();
  return true;
}

void UdpIo::close(const flow::CloseUdp& action) {
  if (Socket* socket = find(action.socket)) socket->socket.close();
}

// Appends to the newest datagram's row, where one send can carry both.
bool UdpIo::extend(const flow::SendUdp& action) {
  if (batch_.empty() || action.segment_size != 0) return false;
  Pending& last = batch_.back();
  const std::size_t size = action.payload.size();
  if (last.closed || size == 0 || size > last.datagram.segment_size) return false;
  if (last.parts >= host::kMaxGsoSegments || last.bytes + size > kRowBytesMax) return false;
  if (last.datagram.target != action.target || last.datagram.hop_limit != action.hop_limit ||
      last.datagram.source != action.local) {
    return false;
  }
  parts_.push_back({.iov_base = const_cast<std::uint8_t*>(action.payload.data()), .iov_len = size});
  ++last.parts;
  last.bytes += size;
  last.closed = size < last.datagram.segment_size;
  return true;
}

[[gnu::noinline]] void UdpIo::send(const flow::SendUdp& action, Instant now,
                                   flow::ActionSink& out) {
  if (action.socket != batch_socket_) flush(now, out);
  batch_socket_ = action.socket;
  if (parts_.size() < kPartsMax && extend(action)) return;
  if (batch_.size() == kBatch || parts_.size() == kPartsMax) {
    flush(now, out);
    batch_socket_ = action.socket;
  }
  Pending pending{.datagram = {.target = action.target,
                               .payload = {},
                               .segment_size = action.segment_size,
                               .hop_limit = action.hop_limit,
                               .source = action.local},
                  .first_part = parts_.size(),
                  .parts = 1,
                  .bytes = action.payload.size(),
                  .closed = action.segment_size != 0};
  if (action.segment_size == 0 && action.payload.size() <= kSegmentMax) {
    pending.datagram.segment_size = static_cast<std::uint16_t>(action.payload.size());
  }
  parts_.push_back({.iov_base = const_cast<std::uint8_t*>(action.payload.data()),
                    .iov_len = action.payload.size()});
  batch_.push_back(pending);
}

[[gnu::noinline]] void UdpIo::flush(Instant now, flow::ActionSink& out) {
  if (batch_.empty()) return;
  Socket* socket = find(batch_socket_);
  outgoing_.clear();
  for (Pending& pending : batch_) {
    pending.datagram.payload = std::span(parts_).subspan(pending.first_part, pending.parts);
    // A batch of one needs no segmentation.
    if (pending.bytes <= pending.datagram.segment_size) pending.datagram.segment_size = 0;
    outgoing_.push_back(pending.datagram);
  }
  std::span<const host::OutgoingDatagram> rest(outgoing_);
  while (socket != nullptr && !rest.empty()) {
    const auto sent = socket->socket.send(scratch_, rest);
    if (!sent) {
      report_error(*socket, rest.front().target, sent.error().error, now, out);
      rest = rest.subspan(1);
      continue;
    }
    if (*sent == 0) {  // The socket is full: as on any full link, the rest is lost.
      for (std::size_t i = 0; i < rest.size(); ++i) {
        engine_.drops().count(flow::DropReason::kUdpSendFailed);
      }
      break;
    }
    rest = rest.subspan(*sent);
  }
  batch_.clear();
  parts_.clear();
  batch_socket_ = {};
}

[[gnu::cold]] void UdpIo::report_error(const Socket& socket, const wire::Endpoint& target,
                                       int error, Instant now, flow::ActionSink& out) {
  engine_.drops().count(flow::DropReason::kUdpSendFailed);
  if (const auto told = icmp_error_of_send(error)) {
    engine_.on_udp_error(socket.id, target, *told, {}, now, out);
  }
}

[[gnu::cold]] void UdpIo::read_errors(Socket& socket, Instant now, flow::ActionSink& out) {
  std::array<std::uint8_t, kQuoteMax> quote{};
  for (int i = 0; i < kErrorsPerTurn; ++i) {
    const auto report = socket.socket.read_errors(quote);
    if (!report || !*report) return;
    if (const auto error = icmp_error_of(**report)) {
      engine_.on_udp_error(socket.id, (*report)->destination, *error,
                           ByteView(quote).first((*report)->quoted), now, out);
    }
  }
}

[[gnu::noinline]] void UdpIo::on_event(const EventTag& tag, std::uint32_t events, Settled settled) {
  const Instant now = settled.now;
  flow::ActionSink& out = settled.out;
  if (tag.index >= sockets_.size()) return;
  Socket& socket = sockets_[tag.index];
  if (!tag.names(socket.id) || !socket.socket.valid()) return;
  if ((events & EPOLLERR) != 0) [[unlikely]]
    read_errors(socket, now, out);
  if ((events & EPOLLIN) == 0) return;
  const std::size_t most = socket.guess.expects_one() ? 1 : incoming_.size();
  const auto count = socket.socket.receive(scratch_, std::span(incoming_).first(most));
  if (!count) return;
  if (most > 1) socket.guess.found(*count);
  for (std::size_t i = 0; i < *count; ++i) {
    const host::IncomingDatagram& datagram = incoming_[i];
    engine_.udp().on_received(
        socket.id, datagram.source, datagram.destination,
        ByteView(static_cast<const std::uint8_t*>(datagram.buffer.front().iov_base),
                 datagram.length),
        datagram.segment_size, now, out);
  }
}

}  // namespace sluice::driver
