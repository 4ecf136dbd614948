#include "forward/tcp/tcp_forwarder.h"

namespace sluice::forward {

TcpForwarder::TcpForwarder(WorkerContext& context, TcpToUdp& to_udp)
    : context_(context),
      to_udp_(to_udp),
      races_(context, EventKind::kTargetRacer, relay::kPairEvents) {}

TcpForwarder::~TcpForwarder() { end_all(); }

bool TcpForwarder::watch(int fd, EventKind side, SlabHandle handle) {
  return context_.loop.add(fd, relay::kPairEvents, EventTag::of(side, handle).pack()).has_value();
}

bool TcpForwarder::watch_client(SlabHandle handle, TcpConnection& connection) {
  if (!connection.client_watched) {
    connection.client_watched = watch(connection.client_socket.fd(), EventKind::kClient, handle);
  }
  return connection.client_watched;
}

void TcpForwarder::begin(const ListenerRule& listener, AcceptedClient client) {
  const SlabHandle handle = connections_.emplace();
  TcpConnection& connection = connections_.at(handle.index);
  connection.number = ++context_.last_session;
  connection.client_socket = host::TcpSocket::adopt(
      std::move(client.socket), host::TcpOptions{.nodelay = false, .keepalive = false});
  connection.rule = listener.rule;
  connection.client = client.client;
  const bool multipath = listener.rule->plan.socket.multipath;
  // Only TCP clients have a port.
  if (multipath || client.client.port.value == 0)
    connection.client_reads = relay::Transport::kOther;
  if (multipath) connection.target_reads = relay::Transport::kOther;
  connection.listen_port = listener.port;
  connection.attempt.port_offset = listener.port_offset;
  connection.timer.set_owner(EventTag::of(EventKind::kClient, handle).pack());
  connection.accepted_at = context_.now;
  if (connection.rule->plan.proxy_in == ProxyIn::kOff) {
    admit(handle, connection);
  } else {
    read_header(handle, connection);
  }
}

void TcpForwarder::on_event(EventTag tag, std::uint32_t events) {
  const SlabHandle handle = tag.handle_in(connections_);
  TcpConnection* const connection = connections_.find(handle);
  if (connection == nullptr) return;
  const bool of_client = tag.kind == EventKind::kClient;
  if (connection->phase == Phase::kRelaying) [[likely]] {
    connection->pair.note(of_client ? relay::Side::kClient : relay::Side::kTarget, events);
    ready_.add(handle, *connection);
  } else if (of_client) {
    connection->early_client_events |= events;
    on_early_client_event(handle, *connection);
  } else if (connection->phase == Phase::kConnecting) {
    connection->early_target_events = events;
    on_connect_event(handle, *connection);
  }
}

void TcpForwarder::on_timer(EventTag tag) {
  const SlabHandle handle = tag.handle_in(connections_);
  TcpConnection* const connection = connections_.find(handle);
  if (connection == nullptr) return;
  if (connection->phase == Phase::kRelaying) {
    on_relay_timer(handle, *connection);
  } else {
    on_opening_timer(handle, *connection);
  }
}

bool TcpForwarder::run_ready() {
  ready_.run(connections_,
             [this](SlabHandle handle, TcpConnection& connection) { pump(handle, connection); });
  return !ready_.empty();
}

void TcpForwarder::end_all() {
  connections_.for_each([this](SlabHandle handle, TcpConnection& connection) {
    stop(handle, connection, SessionResult::kStopped);
  });
}

std::uint32_t TcpForwarder::list(SessionRange range, std::vector<SessionRecord>& out) {
  return list_sessions(connections_, range, out, [this](const TcpConnection& connection) {
    SessionRecord record = record_of(connection.rule, facts_of(connection));
    record.connecting = connection.phase != Phase::kRelaying;
    return record;
  });
}

bool TcpForwarder::kill(std::uint64_t number) {
  const SlabHandle handle = session_numbered(
      connections_, [&](const TcpConnection& connection) { return connection.number == number; });
  TcpConnection* const connection = connections_.find(handle);
  if (connection == nullptr) return false;
  stop(handle, *connection, SessionResult::kKilled);
  return true;
}

void TcpForwarder::publish_counters() {
  connections_.for_each([](SlabHandle, TcpConnection& connection) {
    connection.published.publish(connection.bytes(), *connection.rule->counters);
  });
}

}  // namespace sluice::forward
