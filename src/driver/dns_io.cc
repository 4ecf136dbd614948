#include "driver/dns_io.h"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "base/overloaded.h"

namespace sluice::driver {
namespace {

constexpr std::size_t kLengthSize = 2;  // RFC 1035, 4.2.2

[[nodiscard]] std::uint64_t tag_of(EventKind kind, flow::DnsSlot slot) {
  return EventTag{kind, slot.value}.pack();
}

}  // namespace

DnsIo::DnsIo(host::Kernel& kernel, host::EventLoop& loop, flow::Engine& engine,
             host::ResolverConfig resolvers)
    : kernel_(kernel), loop_(loop), engine_(engine), resolvers_(std::move(resolvers)) {
  engine_.set_resolvers(resolvers_.current().resolvers);
}

void DnsIo::run_actions(Instant now, flow::ActionSink& out) {
  if (engine_.dns_actions().empty()) return;
  if (resolvers_.refresh(now)) engine_.set_resolvers(resolvers_.current().resolvers);
  // A failure may bring further actions.
  while (!engine_.dns_actions().empty()) {
    std::vector<flow::DnsAction> actions;
    actions.swap(engine_.dns_actions());
    for (flow::DnsAction& action : actions) {
      std::visit(Overloaded{[&](const flow::DnsAnswer&) {},  // The engine sent it.
                            [&](const flow::OpenDnsUdp& open) { open_udp(open, now, out); },
                            [&](flow::OpenDnsTcp& open) { open_tcp(open, now, out); },
                            [&](const flow::CloseDns& close) {
                              udp_.erase(close.slot.value);
                              tcp_.erase(close.slot.value);
                            }},
                 action);
    }
  }
}

void DnsIo::fail(flow::DnsSlot slot, Instant now, flow::ActionSink& out) {
  udp_.erase(slot.value);
  tcp_.erase(slot.value);
  engine_.on_dns_error(slot, now, out);
}

void DnsIo::open_udp(const flow::OpenDnsUdp& action, Instant now, flow::ActionSink& out) {
  if (buffer_ == nullptr) buffer_ = std::make_unique_for_overwrite<std::uint8_t[]>(kMessageMax);
  auto socket =
      host::UdpSocket::open(kernel_, action.resolver.address.family(), {.receive_offload = false});
  if (!socket || !socket->connect(action.resolver)) {
    fail(action.slot, now, out);
    return;
  }
  const iovec part{.iov_base = const_cast<std::uint8_t*>(action.message.data()),
                   .iov_len = action.message.size()};
  const host::OutgoingDatagram datagram{.target = action.resolver, .payload = {&part, 1}};
  if (!socket->send(scratch_, {&datagram, 1})) {
    fail(action.slot, now, out);
    return;
  }
  const auto [at, fresh] =
      udp_.insert_or_assign(action.slot.value, UdpAttempt{std::move(*socket), action.resolver});
  (void)fresh;
  (void)loop_.add(at->second.socket.fd(), EPOLLIN, tag_of(EventKind::kDnsUdp, action.slot));
}

void DnsIo::open_tcp(flow::OpenDnsTcp& action, Instant now, flow::ActionSink& out) {
  auto socket = host::TcpSocket::connect(kernel_, action.resolver);
  if (!socket) {
    fail(action.slot, now, out);
    return;
  }
  TcpAttempt attempt;
  attempt.socket = std::move(*socket);
  attempt.outgoing = std::move(action.message);
  const std::array<std::uint8_t, kLengthSize> length{
      static_cast<std::uint8_t>(attempt.outgoing.size() >> 8),
      static_cast<std::uint8_t>(attempt.outgoing.size())};
  attempt.outgoing.insert(attempt.outgoing.begin(), length.begin(), length.end());
  const auto [at, fresh] = tcp_.insert_or_assign(action.slot.value, std::move(attempt));
  (void)fresh;
  (void)loop_.add(at->second.socket.fd(), EPOLLIN | EPOLLOUT | EPOLLET,
                  tag_of(EventKind::kDnsTcp, action.slot));
}

void DnsIo::on_event(const EventTag& tag, std::uint32_t events, Instant now,
                     flow::ActionSink& out) {
  const flow::DnsSlot slot{tag.index};
  if (tag.kind == EventKind::kDnsUdp) {
    on_udp(slot, now, out);
  } else {
    on_tcp(slot, events, now, out);
  }
  run_actions(now, out);
}

void DnsIo::on_udp(flow::DnsSlot slot, Instant now, flow::ActionSink& out) {
  const auto found = udp_.find(slot.value);
  if (found == udp_.end()) return;
  std::array<std::uint8_t, 512> quote;
  iovec part{.iov_base = buffer_.get(), .iov_len = kMessageMax};
  host::IncomingDatagram datagram;
  datagram.buffer = {&part, 1};
  const auto count = found->second.socket.receive(scratch_, {&datagram, 1});
  if (!count) {  // ICMP says that nobody listens there.
    (void)found->second.socket.read_errors(quote);
    fail(slot, now, out);
    return;
  }
  if (*count == 0 || datagram.source != found->second.resolver) return;
  engine_.on_dns_answer(slot, flow::Engine::DnsTransport::kUdp,
                        ByteView(buffer_.get(), datagram.length), now, out);
}

void DnsIo::on_tcp(flow::DnsSlot slot, std::uint32_t events, Instant now, flow::ActionSink& out) {
  const auto found = tcp_.find(slot.value);
  if (found == tcp_.end()) return;
  TcpAttempt& attempt = found->second;
  if ((events & EPOLLERR) != 0) {
    fail(slot, now, out);
    return;
  }
  if ((events & EPOLLOUT) != 0 && attempt.sent < attempt.outgoing.size()) {
    const iovec part{.iov_base = attempt.outgoing.data() + attempt.sent,
                     .iov_len = attempt.outgoing.size() - attempt.sent};
    const auto sent = attempt.socket.send({&part, 1});
    if (!sent) {
      fail(slot, now, out);
      return;
    }
    attempt.sent += *sent;
  }
  if ((events & EPOLLIN) != 0) read_answer(slot, attempt, now, out);
}

void DnsIo::read_answer(flow::DnsSlot slot, TcpAttempt& attempt, Instant now,
                        flow::ActionSink& out) {
  for (;;) {
    const iovec part{.iov_base = buffer_.get(), .iov_len = kMessageMax};
    const auto result = attempt.socket.read({&part, 1});
    if (result && result->status == host::ReadStatus::kWouldBlock) return;
    if (!result || result->status == host::ReadStatus::kEndOfStream) {
      fail(slot, now, out);
      return;
    }
    attempt.incoming.insert(attempt.incoming.end(), buffer_.get(), buffer_.get() + result->bytes);
    if (attempt.incoming.size() < kLengthSize) continue;
    const std::size_t length = be16<0>(ByteView(attempt.incoming).first<kLengthSize>());
    if (attempt.incoming.size() < kLengthSize + length) continue;
    // The engine's answer closes the slot later, so the bytes live long enough.
    engine_.on_dns_answer(slot, flow::Engine::DnsTransport::kTcp,
                          ByteView(attempt.incoming).subspan(kLengthSize, length), now, out);
    return;
  }
}

}  // namespace sluice::driver
