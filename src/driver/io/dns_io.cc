#include "driver/io/dns_io.h"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "base/overloaded.h"

namespace sluice::driver {
namespace {

constexpr std::size_t kLengthSize = 2;  // RFC 1035, 4.2.2

}  // namespace

DnsIo::DnsIo(IoContext context, flow::Engine& engine, resolv::ResolverConfig resolvers)
    : kernel_(context.kernel),
      loop_(context.loop),
      engine_(engine),
      outbound_(context.outbound),
      resolvers_(std::move(resolvers)),
      udp_(context) {
  hand_over_resolvers();
}

void DnsIo::hand_over_resolvers() {
  const resolv::ResolvConf& conf = resolvers_.current();
  engine_.set_resolvers(conf.endpoints(),
                        conf.use_vc() ? dns::DnsUpstream::kTcpOnly : dns::DnsUpstream::kUdpFirst);
}

bool DnsIo::follow_resolvers(Instant now) {
  if (!resolvers_.refresh(now)) return false;
  hand_over_resolvers();
  return true;
}

void DnsIo::use_resolvers(const resolv::ResolvConf& resolvers) {
  resolvers_ = resolv::ResolverConfig::fixed_to(resolvers);
  hand_over_resolvers();
}

std::uint32_t DnsIo::scope_of(std::size_t index, const wire::Endpoint& resolver) const {
  const std::vector<resolv::HostResolver>& all = resolvers_.current().resolvers;
  return index < all.size() && all[index].endpoint == resolver ? all[index].scope_id : 0;
}

void DnsIo::run_actions(flow::Turn turn) {
  // A failure may bring further actions.
  while (!engine_.dns_actions().empty()) {
    actions_.swap(engine_.dns_actions());
    for (dns::DnsAction& action : actions_) {
      std::visit(
          Overloaded{[&](const dns::DnsAnswer&) {},  // The engine sent it.
                     [&](const dns::OpenDnsUdp& open) {
                       const std::uint32_t scope = scope_of(open.resolver_index, open.resolver);
                       udp_.ask(open.slot, open.resolver, scope, open.message, turn.now, failed_);
                     },
                     [&](dns::OpenDnsTcp& open) { open_tcp(open, turn); },
                     [&](const dns::CloseDns& close_it) { close(close_it.slot); }},
          action);
    }
    udp_.flush(failed_);
    actions_.clear();
    tell_failed(turn);
    open_waiting(turn);
  }
}

void DnsIo::tell_failed(flow::Turn turn) {
  for (const dns::DnsSlot slot : failed_) engine_.on_dns_error(slot, turn);
  failed_.clear();
}

void DnsIo::close(dns::DnsSlot slot) {
  udp_.forget(slot);
  if (tcp_.erase(slot.value) == 0 && !waiting_.empty()) {
    std::erase_if(waiting_, [&](const dns::OpenDnsTcp& one) { return one.slot == slot; });
  }
}

void DnsIo::fail(dns::DnsSlot slot, flow::Turn turn) {
  tcp_.erase(slot.value);
  engine_.on_dns_error(slot, turn);
}

void DnsIo::open_waiting(flow::Turn turn) {
  while (!waiting_.empty() && tcp_.size() < kTcpMax) {
    dns::OpenDnsTcp next = std::move(waiting_.front());
    waiting_.pop_front();
    open_tcp(next, turn);
  }
}

std::expected<host::TcpSocket, sys::SysError> DnsIo::connect(const dns::OpenDnsTcp& action) const {
  auto socket = host::TcpSocket::open(kernel_, action.resolver.address.family());
  if (!socket) return socket;
  if (const host::Outbound::Way* const way = outbound_.way_to(action.resolver.address)) {
    if (const auto left = socket->leave_by(*way); !left) return std::unexpected(left.error());
  }
  const std::uint32_t scope = scope_of(action.resolver_index, action.resolver);
  if (const auto started = socket->start_connect(action.resolver, scope); !started) {
    return std::unexpected(started.error());
  }
  return socket;
}

void DnsIo::open_tcp(dns::OpenDnsTcp& action, flow::Turn turn) {
  if (tcp_.size() >= kTcpMax) {
    waiting_.push_back(std::move(action));
    return;
  }
  if (buffer_ == nullptr) buffer_ = std::make_unique_for_overwrite<std::uint8_t[]>(kMessageMax);
  auto socket = connect(action);
  if (!socket) {
    fail(action.slot, turn);
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
  if (!loop_.add(at->second.socket.fd(), EPOLLIN | EPOLLOUT | EPOLLET,
                 EventTag{EventKind::kDnsTcp, action.slot.value}.pack())) {
    fail(action.slot, turn);
  }
}

void DnsIo::on_event(const EventTag& tag, std::uint32_t events, flow::Turn turn) {
  if (tag.kind == EventKind::kDnsUdp) {
    on_udp(tag, events, turn);
  } else {
    on_tcp(dns::DnsSlot{tag.index}, events, turn);
  }
  run_actions(turn);
}

void DnsIo::on_udp(const EventTag& tag, std::uint32_t events, flow::Turn turn) {
  udp_.on_event(
      tag, events,
      [&](dns::DnsSlot slot, ByteView message) {
        engine_.on_dns_answer(slot, flow::Engine::DnsTransport::kUdp, message, turn);
      },
      failed_);
  tell_failed(turn);
}

void DnsIo::on_tcp(dns::DnsSlot slot, std::uint32_t events, flow::Turn turn) {
  const auto found = tcp_.find(slot.value);
  if (found == tcp_.end()) return;
  TcpAttempt& attempt = found->second;
  if ((events & EPOLLERR) != 0) {
    fail(slot, turn);
    return;
  }
  if ((events & EPOLLOUT) != 0 && attempt.sent < attempt.outgoing.size()) {
    const iovec part{.iov_base = attempt.outgoing.data() + attempt.sent,
                     .iov_len = attempt.outgoing.size() - attempt.sent};
    const auto sent = attempt.socket.send({&part, 1});
    if (!sent) {
      fail(slot, turn);
      return;
    }
    attempt.sent += *sent;
  }
  if ((events & EPOLLIN) != 0) read_answer(slot, attempt, turn);
}

void DnsIo::read_answer(dns::DnsSlot slot, TcpAttempt& attempt, flow::Turn turn) {
  for (;;) {
    const iovec part{.iov_base = buffer_.get(), .iov_len = kMessageMax};
    const auto result = attempt.socket.read({&part, 1});
    if (result && result->status == sys::ReadStatus::kWouldBlock) return;
    if (!result || result->status == sys::ReadStatus::kEndOfStream) {
      fail(slot, turn);
      return;
    }
    attempt.incoming.insert(attempt.incoming.end(), buffer_.get(), buffer_.get() + result->bytes);
    if (attempt.incoming.size() < kLengthSize) continue;
    const std::size_t length = be16<0>(ByteView(attempt.incoming).first<kLengthSize>());
    if (attempt.incoming.size() < kLengthSize + length) continue;
    // The engine's answer closes the slot later, so the bytes live long enough.
    engine_.on_dns_answer(slot, flow::Engine::DnsTransport::kTcp,
                          ByteView(attempt.incoming).subspan(kLengthSize, length), turn);
    return;
  }
}

}  // namespace sluice::driver
