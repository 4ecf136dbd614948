// TcpForwarder: from a client's first packet to a target that answered.
#include <array>
#include <optional>

#include "forward/target/target_socket.h"
#include "forward/tcp/tcp_forwarder.h"

namespace sluice::forward {
namespace {

// With this much for what proxies add to the addresses (TLS certificates' names and the like). By
// the specification it may be 64 KiB, which whoever connects could make us hold by the thousand.
constexpr std::size_t kHeaderMax = 4096;
// Clients that have sent no header yet cost a descriptor and are not admitted: no more of them.
constexpr std::size_t kHeaderReadersMax = 4096;
constexpr Duration kDescriptorRetry = std::chrono::milliseconds{50};

RaceTrack track_of(SlabHandle handle, TcpConnection& connection) {
  return {.rule = *connection.rule,
          .attempt = connection.attempt,
          .client = connection.client,
          .session = handle,
          .race = connection.race};
}

}  // namespace

void TcpForwarder::read_header(SlabHandle handle, TcpConnection& connection) {
  connection.phase = Phase::kReadingHeader;
  // Whoever connects is judged before it can make us hold anything.
  std::optional<wire::IpAddress> peer;
  if (connection.client.port.value != 0) peer = connection.client.address;
  auto ticket = connection.rule->admission.admit_peer(peer, context_.now);
  if (!ticket) {
    ++header_readers_;  // refuse() takes it back.
    refuse(handle, connection, ticket.error());
    return;
  }
  connection.ticket = std::move(*ticket);
  connection.header = std::make_unique<HeaderBuffer>();
  if (++header_readers_ > kHeaderReadersMax) {
    refuse(handle, connection, SessionResult::kLimited);
    return;
  }
  if (!watch_client(handle, connection)) {
    refuse(handle, connection, SessionResult::kLimited);
    return;
  }
  context_.timers.arm(connection.timer, context_.now + connection.rule->plan.timeouts.proxy_header);
  take_header(handle, connection);
}

// Reads what is there, until the header is whole.
void TcpForwarder::take_header(SlabHandle handle, TcpConnection& connection) {
  std::vector<std::uint8_t>& bytes = connection.header->bytes;
  std::array<std::uint8_t, kHeaderMax> room;
  for (;;) {
    const iovec part{room.data(), kHeaderMax - bytes.size()};
    const auto read = connection.client_socket.read({&part, 1});
    if (!read || read->status == sys::ReadStatus::kEndOfStream) {
      refuse(handle, connection, SessionResult::kBadProxyHeader);
      return;
    }
    if (read->status == sys::ReadStatus::kWouldBlock) return;
    bytes.insert(bytes.end(), room.begin(),
                 room.begin() + static_cast<std::ptrdiff_t>(read->bytes));
    const auto parsed = wire::parse_proxy_header(bytes);
    if (parsed) {
      connection.header->header_size = parsed->size;
      if (parsed->header.transport != wire::ProxyTransport::kUnspecified) {
        connection.client = parsed->header.source;
        connection.header->destination = parsed->header.destination;
      }
      --header_readers_;
      context_.timers.cancel(connection.timer);
      admit(handle, connection);
      return;
    }
    if (parsed.error() != wire::ParseError::kTruncated ||
        wire::proxy_header_size(bytes) > kHeaderMax || bytes.size() == kHeaderMax) {
      refuse(handle, connection, SessionResult::kBadProxyHeader);
      return;
    }
  }
}

void TcpForwarder::admit(SlabHandle handle, TcpConnection& connection) {
  connection.phase = Phase::kConnecting;
  LiveRule& rule = *connection.rule;
  if (connection.header != nullptr) {
    const auto refused =
        rule.admission.admit_named(connection.ticket, connection.client.address, context_.now);
    if (refused) {
      refuse(handle, connection, *refused);
      return;
    }
  } else {
    auto ticket = rule.admission.admit(connection.client.address, context_.now);
    if (!ticket) {
      refuse(handle, connection, ticket.error());
      return;
    }
    connection.ticket = std::move(*ticket);
  }
  connection.admitted = true;
  count_one(rule.counters->accepted);
  rule.counters->active.fetch_add(1, std::memory_order_relaxed);
  if (rule.plan.targets_udp()) {
    leave_to_udp(handle, connection);
    return;
  }
  connection.attempt.client = connection.client.address;
  connect(handle, connection, rule.targets.first(connection.attempt, context_.now));
}

// TcpToUdp counts the session as active from here on.
void TcpForwarder::leave_to_udp(SlabHandle handle, TcpConnection& connection) {
  std::vector<std::uint8_t> head;
  if (connection.header != nullptr) {
    const auto& bytes = connection.header->bytes;
    head.assign(bytes.begin() + static_cast<std::ptrdiff_t>(connection.header->header_size),
                bytes.end());
    // The interest of the header's reader would name a session that is no more.
    (void)context_.loop.remove(connection.client_socket.fd());
  }
  AcceptedStream stream{.socket = std::move(connection.client_socket),
                        .client = connection.client,
                        .rule = std::move(connection.rule),
                        .ticket = std::move(connection.ticket),
                        .listen_port = connection.listen_port,
                        .port_offset = connection.attempt.port_offset,
                        .accepted_at = connection.accepted_at,
                        .number = connection.number};
  connections_.erase(handle);
  to_udp_.start(std::move(stream), head);
}

// Tries one destination after the other until one answers, is being asked, or none is left.
void TcpForwarder::connect(SlabHandle handle, TcpConnection& connection,
                           std::optional<Destination> next) {
  LiveRule& rule = *connection.rule;
  for (; next; next = rule.targets.next(connection.attempt, context_.now)) {
    if (!next->inet) connection.target_reads = relay::Transport::kOther;
    auto started = open_stream_target(context_.kernel, rule.plan.socket, *next, connection.client,
                                      FastOpen::kAsPlanned);
    if (!started) {
      if (sys::is_exhaustion(started.error().error)) {
        wait_for_descriptor(connection, *next);
        return;
      }
      connection.last_error = started.error().error;
      continue;
    }
    connection.target_socket = std::move(started->socket);
    connection.early_target_events = 0;  // Not those of the one before.
    if (!watch(connection.target_socket.fd(), EventKind::kTarget, handle)) {
      connection.last_error = ENOSPC;
      connection.target_socket.close();
      continue;
    }
    if (started->progress == host::ConnectProgress::kInProgress) {
      connection.phase = Phase::kConnecting;
      // Where it cannot be, target_answered() finds out again.
      (void)watch_client(handle, connection);
      if (connection.attempt.is_first_address()) {
        connection.connect_until = context_.now + rule.plan.timeouts.connect;
      }
      context_.timers.arm(connection.timer,
                          races_.look_at(*next, rule.plan, connection.connect_until));
      return;
    }
    target_answered(handle, connection, false);
    return;
  }
  refuse(handle, connection, SessionResult::kConnectFailed);
}

// A client that resets its connection before any target has answered has nothing to wait for. What
// it sent before is for the target nevertheless, as without us.
void TcpForwarder::on_early_client_event(SlabHandle handle, TcpConnection& connection) {
  if (connection.phase == Phase::kReadingHeader) {
    take_header(handle, connection);
    return;
  }
  const bool reset = (connection.early_client_events & EPOLLERR) != 0;
  if (!reset || connection.client_socket.readable_bytes().value_or(0) > 0) return;
  stop(handle, connection, SessionResult::kClientReset);
}

// The client keeps its place: it waits as it would in the kernel's queue, within the time that a
// connect may take. The target is not to blame and is asked again first.
void TcpForwarder::wait_for_descriptor(TcpConnection& connection, const Destination& destination) {
  connection.phase = Phase::kNoDescriptor;
  connection.rule->targets.ended(destination.target);
  if (listeners_ != nullptr) listeners_->pause();
  context_.timers.arm(connection.timer, context_.now + kDescriptorRetry);
}

void TcpForwarder::on_connect_event(SlabHandle handle, TcpConnection& connection) {
  const host::ConnectReport report = host::connect_outcome(connection.target_socket);
  if (report.outcome == host::ConnectOutcome::kFailed) {
    connection.last_error = report.error;
    connection.target_socket.close();
    connect(handle, connection, connection.rule->targets.next(connection.attempt, context_.now));
    return;
  }
  target_answered(handle, connection,
                  report.outcome == host::ConnectOutcome::kEstablishedThenReset);
}

void TcpForwarder::target_answered(SlabHandle handle, TcpConnection& connection, bool was_reset) {
  if (!watch_client(handle, connection)) {
    connection.last_error = ENOSPC;
    connection.rule->targets.ended(connection.attempt.target);
    refuse(handle, connection, SessionResult::kConnectFailed);
    return;
  }
  // The pair delivers what came before the reset, and then the reset.
  if (was_reset) connection.early_target_events |= EPOLLERR;
  start_relay(handle, connection);
}

// The latest address has had its time, or all of them have.
void TcpForwarder::on_connect_timer(SlabHandle handle, TcpConnection& connection) {
  const bool over = context_.now >= connection.connect_until;
  const RaceTrack track = track_of(handle, connection);
  if (connection.race != nullptr) {
    follow_race(handle, connection, over ? races_.give_up(track) : races_.go_on(track));
  } else if (!over) {
    follow_race(handle, connection, races_.begin(track, std::move(connection.target_socket)));
  } else {
    connection.last_error = ETIMEDOUT;
    connection.target_socket.close();
    TargetSet& targets = connection.rule->targets;
    targets.set_back(connection.attempt.target, connection.attempt.address, context_.now);
    connect(handle, connection, targets.next_target(connection.attempt, context_.now));
  }
}

void TcpForwarder::on_racer_event(EventTag tag, std::uint32_t events) {
  const auto handle = races_.session_of(tag);
  if (!handle) return;
  TcpConnection& connection = connections_.at(handle->index);
  follow_race(*handle, connection, races_.on_event(track_of(*handle, connection), tag, events));
}

void TcpForwarder::follow_race(SlabHandle handle, TcpConnection& connection, RaceStep step) {
  switch (step.state) {
    case RaceState::kRunning:
      context_.timers.arm(connection.timer,
                          std::min(connection.race->next_at(), connection.connect_until));
      return;
    case RaceState::kLost:
      connection.last_error = step.error;
      connect(handle, connection,
              connection.rule->targets.next_target(connection.attempt, context_.now));
      return;
    case RaceState::kWon: break;
  }
  connection.target_socket = std::move(step.winner);
  // Tells again what is ready.
  const auto watched = context_.loop.modify(connection.target_socket.fd(), relay::kPairEvents,
                                            EventTag::of(EventKind::kTarget, handle).pack());
  if (!watched) {
    connection.last_error = ENOSPC;
    connection.rule->targets.ended(connection.attempt.target);
    refuse(handle, connection, SessionResult::kConnectFailed);
    return;
  }
  target_answered(handle, connection, step.reset);
}

void TcpForwarder::on_opening_timer(SlabHandle handle, TcpConnection& connection) {
  switch (connection.phase) {
    case Phase::kReadingHeader: refuse(handle, connection, SessionResult::kBadProxyHeader); return;
    case Phase::kConnecting: on_connect_timer(handle, connection); return;
    case Phase::kNoDescriptor:
      if (context_.now - connection.accepted_at > connection.rule->plan.timeouts.connect) {
        connection.last_error = EMFILE;
        refuse(handle, connection, SessionResult::kConnectFailed);
        return;
      }
      connect(handle, connection, connection.rule->targets.first(connection.attempt, context_.now));
      return;
    case Phase::kRelaying: return;
  }
}

// Ends a session that has not begun; no target is in use for it.
void TcpForwarder::refuse(SlabHandle handle, TcpConnection& connection, SessionResult why) {
  RuleCounters& counters = *connection.rule->counters;
  if (connection.phase == Phase::kReadingHeader) --header_readers_;
  switch (why) {
    case SessionResult::kNotAllowed:
    case SessionResult::kDenied: count_one(counters.not_allowed); break;
    case SessionResult::kLimited: count_one(counters.limited); break;
    case SessionResult::kBadProxyHeader: count_one(counters.bad_proxy_header); break;
    case SessionResult::kConnectFailed: count_one(counters.connect_failed); break;
    case SessionResult::kOpened:
    case SessionResult::kTargetClosed:
    case SessionResult::kClientClosed:
    case SessionResult::kTargetReset:
    case SessionResult::kClientReset:
    case SessionResult::kIdle:
    case SessionResult::kStopped:
    case SessionResult::kKilled: break;
  }
  if (connection.admitted) counters.active.fetch_sub(1, std::memory_order_relaxed);
  tell(connection, why, connection.last_error);
  connection.client_socket.reset();
  connections_.erase(handle);
}

}  // namespace sluice::forward
