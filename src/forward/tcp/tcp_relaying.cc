// TcpForwarder: sessions whose two sides are joined, and their ends.
#include <algorithm>
#include <array>

#include "base/unreachable.h"
#include "forward/tcp/tcp_forwarder.h"

namespace sluice::forward {
namespace {

using relay::PairEnd;
using relay::PairStatus;

SessionResult result_of(PairEnd end) {
  switch (end) {
    case PairEnd::kClientClosed: return SessionResult::kClientClosed;
    case PairEnd::kTargetClosed: return SessionResult::kTargetClosed;
    case PairEnd::kClientReset: return SessionResult::kClientReset;
    case PairEnd::kTargetReset: return SessionResult::kTargetReset;
    case PairEnd::kStopped: return SessionResult::kStopped;
  }
  unreachable("pair end outside its enum");
}

// What the target reads first: who the client is, then what came behind the client's own header.
std::vector<std::uint8_t> head_of(const TcpConnection& connection,
                                  const wire::Endpoint& destination) {
  std::vector<std::uint8_t> head;
  const ProxyOut version = connection.rule->plan.proxy_out;
  if (version != ProxyOut::kOff) {
    std::array<std::uint8_t, wire::kProxyEmitSizeMax> room;
    const wire::ProxyHeader header{
        .version = version == ProxyOut::kV1 ? wire::ProxyVersion::kV1 : wire::ProxyVersion::kV2,
        .command = wire::ProxyCommand::kProxy,
        // A UNIX client has no address to tell.
        .transport = connection.client.port.value == 0 ? wire::ProxyTransport::kUnspecified
                                                       : wire::ProxyTransport::kStream,
        .source = connection.client,
        .destination = destination};
    const std::size_t size = wire::emit_proxy_header(header, room).value_or(0);
    head.assign(room.begin(), room.begin() + static_cast<std::ptrdiff_t>(size));
  }
  if (connection.header != nullptr) {
    const auto& read = connection.header->bytes;
    head.insert(head.end(),
                read.begin() + static_cast<std::ptrdiff_t>(connection.header->header_size),
                read.end());
  }
  return head;
}

}  // namespace

void TcpForwarder::start_relay(SlabHandle handle, TcpConnection& connection) {
  const Rule& plan = connection.rule->plan;
  context_.timers.cancel(connection.timer);
  std::vector<std::uint8_t> head;
  if (plan.proxy_out != ProxyOut::kOff || connection.header != nullptr) [[unlikely]] {
    wire::Endpoint destination =
        connection.client_socket.local_endpoint().value_or(wire::Endpoint{});
    if (connection.header != nullptr && connection.header->destination) {
      destination = *connection.header->destination;
    }
    head = head_of(connection, destination);
    connection.header.reset();
  }
  // A stream that we tell half, because we are killed, must not end as if it were whole.
  connection.client_socket.guard();
  connection.target_socket.guard();
  connection.phase = Phase::kRelaying;
  connection.last_active = context_.now;
  connection.pair.start(std::move(connection.client_socket), std::move(connection.target_socket),
                        {.mode = plan.relay.value_or(context_.pools.options().mode),
                         .client = connection.client_reads,
                         .target = connection.target_reads,
                         .to_target = connection.ticket.to_target(),
                         .to_client = connection.ticket.to_client(),
                         .head_to_target = head},
                        context_.pools);
  // Edges that came before are not told again.
  connection.pair.note(relay::Side::kClient, connection.early_client_events);
  connection.pair.note(relay::Side::kTarget, connection.early_target_events);
  tell(connection, SessionResult::kOpened, 0);
  ready_.add(handle, connection);
}

void TcpForwarder::pump(SlabHandle handle, TcpConnection& connection) {
  const PairStatus status = connection.pair.pump(context_.pools, context_.now);
  switch (status) {
    case PairStatus::kMore: ready_.add(handle, connection); break;
    case PairStatus::kWaiting:
    case PairStatus::kLater: break;
    case PairStatus::kEnded:
      finish(handle, connection, result_of(connection.pair.end()), connection.pair.error());
      return;
  }
  connection.last_active = context_.now;
  arm_relay_timer(connection, status);
}

// Timeouts count from the last pump. A timer that is armed for earlier stays: when it fires it is
// armed anew, which costs less than moving it with every byte.
void TcpForwarder::arm_relay_timer(TcpConnection& connection, PairStatus status) {
  const TimeoutPlan& timeouts = connection.rule->plan.timeouts;
  Instant deadline = kNever;
  if (timeouts.idle > Duration::zero()) deadline = connection.last_active + timeouts.idle;
  if (timeouts.half_closed > Duration::zero() && connection.pair.half_closed()) {
    deadline = std::min(deadline, connection.last_active + timeouts.half_closed);
  }
  if (status == PairStatus::kLater) {
    deadline = std::min(deadline, connection.pair.resume_at());
  }
  if (deadline == kNever) return;
  if (connection.timer.armed() && connection.timer.deadline() <= deadline) return;
  context_.timers.arm(connection.timer, deadline);
}

void TcpForwarder::on_relay_timer(SlabHandle handle, TcpConnection& connection) {
  const TimeoutPlan& timeouts = connection.rule->plan.timeouts;
  const Duration quiet = context_.now - connection.last_active;
  const bool idle = timeouts.idle > Duration::zero() && quiet >= timeouts.idle;
  const bool half_closed = timeouts.half_closed > Duration::zero() &&
                           connection.pair.half_closed() && quiet >= timeouts.half_closed;
  if (idle || half_closed) {
    stop(handle, connection, SessionResult::kIdle);
    return;
  }
  // Either the pair asked to be called now, or the deadline has moved since it was set.
  const Instant active = connection.last_active;
  const PairStatus status = connection.pair.pump(context_.pools, context_.now);
  if (status == PairStatus::kEnded) {
    finish(handle, connection, result_of(connection.pair.end()), connection.pair.error());
    return;
  }
  if (status == PairStatus::kMore) ready_.add(handle, connection);
  const SessionBytes bytes = connection.bytes();
  const bool moved = bytes.to_target + bytes.to_client != connection.bytes_at_timer;
  connection.bytes_at_timer = bytes.to_target + bytes.to_client;
  connection.last_active = moved ? context_.now : active;
  arm_relay_timer(connection, status);
}

void TcpForwarder::stop(SlabHandle handle, TcpConnection& connection, SessionResult why) {
  if (connection.phase == Phase::kRelaying) {
    connection.pair.stop(context_.pools, relay::StopHow::kReset);
    finish(handle, connection, why, 0);
  } else {
    if (connection.phase == Phase::kConnecting) {
      connection.rule->targets.ended(connection.attempt.target);
    }
    refuse(handle, connection, why);
  }
}

void TcpForwarder::finish(SlabHandle handle, TcpConnection& connection, SessionResult result,
                          int error) {
  connection.published.publish(connection.bytes(), *connection.rule->counters);
  tell(connection, result, error);
  connection.rule->targets.ended(connection.attempt.target);
  connection.rule->counters->active.fetch_sub(1, std::memory_order_relaxed);
  connections_.erase(handle);
}

SessionFacts TcpForwarder::facts_of(const TcpConnection& connection) const {
  return {.number = connection.number,
          .result = SessionResult::kOpened,
          .error = 0,
          .client = connection.client,
          .listen_port = connection.listen_port,
          .attempt = &connection.attempt,
          .udp = false,
          .bytes = connection.bytes(),
          .duration = context_.now - connection.accepted_at};
}

void TcpForwarder::tell(const TcpConnection& connection, SessionResult result, int error) {
  if (!is_told(context_)) return;
  SessionFacts facts = facts_of(connection);
  facts.result = result;
  facts.error = error;
  tell_session(context_, connection.rule, facts);
}

}  // namespace sluice::forward
