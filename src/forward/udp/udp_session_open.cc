// How sessions of UDP clients begin and end.
#include <utility>

#include "forward/target/target_socket.h"
#include "forward/udp/udp_forwarder.h"

namespace sluice::forward {
namespace {

// A session without an answer makes room for another once it was idle for so long: an answer is
// hardly on its way any more.
constexpr Duration kUnansweredPatience = std::chrono::seconds{1};
// How many of them are looked at for one newcomer.
constexpr int kEvictionTries = 16;

RaceTrack track_of(SlabHandle handle, UdpSession& session) {
  return {.rule = *session.rule,
          .attempt = session.attempt,
          .client = session.key.client,
          .session = handle,
          .race = session.stream->race};
}

}  // namespace

[[gnu::cold]] std::uint32_t UdpForwarder::refuse(const UdpListener& listener,
                                                 const UdpSessionKey& key, SessionResult result,
                                                 std::size_t datagrams) {
  RuleCounters& counters = *listener.rule->counters;
  if (result == SessionResult::kLimited) {
    count_one(counters.limited, datagrams);
    count_one(counters.datagrams_dropped, datagrams);
  } else {
    count_one(counters.not_allowed, datagrams);
  }
  if (is_told(context_) &&
      refusals_.worth_a_line(key.client.address, key.listener, result, context_.now)) {
    tell_session(context_, listener.rule,
                 {.number = ++context_.last_session,
                  .result = result,
                  .client = key.client,
                  .listen_port = listener.port,
                  .udp = true});
  }
  return UdpSession::kNone;
}

bool UdpForwarder::make_room() { return evict_oldest_once() || evict_idle(); }

// Whoever forges sources has each of them speak once.
bool UdpForwarder::evict_oldest_once() {
  const std::uint32_t index = spoke_once_.oldest();
  // The newest is the one for which room is made.
  if (index == UdpSession::kNone || index == spoke_once_.newest()) return false;
  // Not closed: each would hold a port for a minute (TIME-WAIT), until none is left for anybody.
  UdpSession& session = sessions_.at(index);
  if (session.stream != nullptr) session.stream->socket().reset();
  end(sessions_.handle_of(index), SessionResult::kIdle, 0);
  return true;
}

[[gnu::cold]] bool UdpForwarder::evict_idle() {
  for (int i = 0; i < kEvictionTries; ++i) {
    const std::uint32_t index = talking_.oldest();
    if (index == UdpSession::kNone) return false;
    const UdpSession& session = sessions_.at(index);
    const Duration patience = session.answered ? kQuietConversation : kUnansweredPatience;
    if (context_.now - session.last_traffic >= patience) {
      end(sessions_.handle_of(index), SessionResult::kIdle, 0);
      return true;
    }
    // It is in use: it gets a second chance.
    talking_.remove(index);
    talking_.append(index);
  }
  return false;
}

// Its client speaks again: no forged source does, unless at twice the cost.
void UdpForwarder::heard_again(std::uint32_t index, UdpSession& session) {
  spoke_once_.remove(index);
  session.talks = true;
  talking_.append(index);
}

std::expected<void, sys::SysError> UdpForwarder::connect_once(SlabHandle handle,
                                                              UdpSession& session,
                                                              const Destination& destination) {
  const SocketPlan& plan = session.rule->plan.socket;
  if (session.stream == nullptr) {
    if (!destination.inet)
      return std::unexpected(sys::SysError{sys::SysOp::kConnect, EAFNOSUPPORT});
    auto socket = with_room([&] {
      return open_datagram_target(context_.kernel, plan, destination, session.key.client);
    });
    if (!socket) return std::unexpected(socket.error());
    session.socket = std::move(*socket);
    // Not EPOLLOUT: each datagram that leaves would report it.
    const auto watched = context_.loop.add(session.socket.fd(), EPOLLIN | EPOLLET,
                                           EventTag::of(EventKind::kUdpSession, handle).pack());
    if (!watched) return watched;
    opened(session);
    return {};
  }
  // An unreachable target must be known as such before the first datagram goes, or no other would
  // be tried.
  auto started = with_room([&] {
    return open_stream_target(context_.kernel, plan, destination, session.key.client,
                              FastOpen::kNever);
  });
  if (!started) return std::unexpected(started.error());
  session.stream->attach(std::move(started->socket));
  const auto watched = context_.loop.add(session.stream->socket().fd(), UdpStream::kEvents,
                                         EventTag::of(EventKind::kUdpStream, handle).pack());
  if (!watched) return watched;
  if (started->progress == host::ConnectProgress::kEstablished) {
    opened(session);
  } else {
    const Rule& rule = session.rule->plan;
    if (session.attempt.is_first_address()) {
      session.connect_until = context_.now + rule.timeouts.connect;
    }
    context_.timers.arm(session.timer, races_.look_at(destination, rule, session.connect_until));
  }
  return {};
}

int UdpForwarder::connect(SlabHandle handle, UdpSession& session,
                          std::optional<Destination> destination) {
  const int error =
      connect_to_any(session.rule->targets, session.attempt, destination, context_.now,
                     [&](const Destination& next) { return connect_once(handle, session, next); });
  session.target_in_use = error == 0;
  return error;
}

// Its datagrams flow. A session that moves to another target is opened once.
void UdpForwarder::opened(UdpSession& session) {
  if (session.phase == UdpPhase::kOpen) return;
  session.phase = UdpPhase::kOpen;
  context_.timers.arm(session.timer, context_.now + session.rule->plan.timeouts.udp_session);
  log(session, SessionResult::kOpened, 0);
}

// What waits in the queue of a stream that never came about is lost.
[[gnu::cold]] void UdpForwarder::failed(UdpSession& session, int error) {
  count_one(session.rule->counters->connect_failed);
  settle_accounts(session, SessionResult::kConnectFailed, error);
  session.phase = UdpPhase::kFailed;
  session.ticket = {};
  session.stream.reset();
  session.socket.close();
  context_.timers.arm(session.timer, context_.now + kBackOff);
}

[[gnu::cold]] void UdpForwarder::retry_or_fail(SlabHandle handle, UdpSession& session, int error,
                                               std::optional<Destination> next) {
  if (connect(handle, session, next) != 0) failed(session, error);
}

// The latest address has had its time, or all of them have.
[[gnu::cold]] void UdpForwarder::on_connect_timer(SlabHandle handle, UdpSession& session) {
  const bool over = context_.now >= session.connect_until;
  const RaceTrack track = track_of(handle, session);
  if (track.race != nullptr) {
    follow_race(handle, session, over ? races_.give_up(track) : races_.go_on(track));
  } else if (!over) {
    follow_race(handle, session, races_.begin(track, std::move(session.stream->socket())));
  } else {
    TargetSet& targets = session.rule->targets;
    targets.set_back(session.attempt.target, session.attempt.address, context_.now);
    retry_or_fail(handle, session, ETIMEDOUT, targets.next_target(session.attempt, context_.now));
  }
}

void UdpForwarder::on_racer_event(EventTag tag, std::uint32_t events) {
  const auto handle = races_.session_of(tag);
  if (!handle) return;
  UdpSession& session = sessions_.at(handle->index);
  follow_race(*handle, session, races_.on_event(track_of(*handle, session), tag, events));
}

void UdpForwarder::follow_race(SlabHandle handle, UdpSession& session, RaceStep step) {
  switch (step.state) {
    case RaceState::kRunning:
      context_.timers.arm(session.timer,
                          std::min(session.stream->race->next_at(), session.connect_until));
      return;
    case RaceState::kLost:
      retry_or_fail(handle, session, step.error,
                    session.rule->targets.next_target(session.attempt, context_.now));
      return;
    case RaceState::kWon: break;
  }
  session.stream->attach(std::move(step.winner));
  // Tells again that it can be written.
  const auto watched = context_.loop.modify(session.stream->socket().fd(), UdpStream::kEvents,
                                            EventTag::of(EventKind::kUdpStream, handle).pack());
  if (!watched) {
    failed(session, ENOSPC);
    return;
  }
  opened(session);
  if (step.reset) {
    session.stream->broke(step.error);
    mark_pending(handle, session);
  }
}

// An ICMP error: as long as nothing came from this target, another may do better.
[[gnu::cold]] void UdpForwarder::on_target_error(SlabHandle handle, UdpSession& session,
                                                 int error) {
  if (!session.answered &&
      connect(handle, session, session.rule->targets.next(session.attempt, context_.now)) == 0) {
    return;
  }
  end(handle, SessionResult::kTargetReset, error);
}

// Everything but the session's memory, which a failed one keeps for a while.
void UdpForwarder::settle_accounts(UdpSession& session, SessionResult result, int error) {
  RuleCounters& counters = *session.rule->counters;
  if (session.stream != nullptr) count_one(counters.datagrams_dropped, session.stream->waiting());
  session.published.publish(session.bytes, counters);
  log(session, result, error);
  if (std::exchange(session.target_in_use, false)) {
    session.rule->targets.ended(session.attempt.target);
  }
  counters.active.fetch_sub(1, std::memory_order_relaxed);
}

void UdpForwarder::end(SlabHandle handle, SessionResult result, int error) {
  UdpSession* const session = sessions_.find(handle);
  if (session == nullptr) return;
  if (session->phase != UdpPhase::kFailed) {
    // A connect that is given up is told as one that failed: it was never told as opened.
    const bool began = session->phase == UdpPhase::kOpen || result == SessionResult::kKilled;
    settle_accounts(*session, began ? result : SessionResult::kConnectFailed, error);
  }
  queue_of(*session).remove(handle.index);
  const std::uint32_t listener = session->key.listener;
  table_.erase(session->key, handle.index);
  sessions_.erase(handle);
  release_listener(listener);
}

void UdpForwarder::log(const UdpSession& session, SessionResult result, int error) {
  if (!is_told(context_)) return;
  SessionFacts facts = facts_of(session, context_.now);
  facts.result = result;
  facts.error = error;
  tell_session(context_, session.rule, facts);
}

}  // namespace sluice::forward
