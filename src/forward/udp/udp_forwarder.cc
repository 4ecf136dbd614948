#include "forward/udp/udp_forwarder.h"

#include <algorithm>
#include <utility>

#include "sys/random.h"

namespace sluice::forward {
namespace {

// Batches that one descriptor may have before others get their turn.
constexpr int kBatchesPerTurn = 4;
constexpr int kErrorsPerTurn = 256;

// Whether the new listener gets the datagrams of the old one's clients, and can answer them.
[[nodiscard]] bool reaches_clients_of(const UdpListener& fresh, const UdpListener& old) {
  const auto here = fresh.socket.local_endpoint();
  const auto there = old.socket.local_endpoint();
  if (!here || !there || here->port != there->port) return false;
  if (fresh.rule->plan.socket.listen_device != old.rule->plan.socket.listen_device) return false;
  // A link-local address says nothing of its interface.
  if (here->address == there->address) return !here->address.is_link_local();
  return here->address.is_unspecified() && fresh.socket.speaks(there->address.family());
}

}  // namespace

UdpForwarder::UdpForwarder(WorkerContext& context, const UdpBounds& bounds)
    : context_(context),
      bounds_(bounds),
      newcomers_(bounds.new_per_second),
      races_(context, EventKind::kUdpRacer, UdpStream::kEvents),
      // Without randomness the hash is predictable, and works.
      secret_(sys::draw_random<SipKey>().value_or(SipKey{})),
      table_(secret_),
      spoke_once_(sessions_),
      talking_(sessions_),
      refusals_(secret_),
      rows_(kRows),
      batch_(context.scratch) {}

UdpForwarder::~UdpForwarder() { end_all(); }

std::expected<SlabHandle, sys::SysError> UdpForwarder::listen(sys::KernelFd socket,
                                                              std::shared_ptr<LiveRule> rule,
                                                              std::uint16_t port,
                                                              std::uint16_t port_offset) {
  const SlabHandle handle = listeners_.emplace();
  UdpListener& listener = *listeners_.find(handle);
  listener.socket = host::UdpSocket::adopt(std::move(socket));
  listener.rule = std::move(rule);
  listener.port = port;
  listener.port_offset = port_offset;
  const auto watched = context_.loop.add(listener.socket.fd(), EPOLLIN | EPOLLET,
                                         EventTag::of(EventKind::kUdpListener, handle).pack());
  if (!watched) {
    listeners_.erase(handle);
    return std::unexpected(watched.error());
  }
  take_over_closed(handle);
  return handle;
}

// Beside a new socket the kernel would still choose the old one for some clients, or all of an
// address, and nobody reads it. Their sessions move here, and it closes.
[[gnu::cold]] void UdpForwarder::take_over_closed(SlabHandle handle) {
  UdpListener& listener = *listeners_.find(handle);
  listeners_.for_each([&](SlabHandle other, UdpListener& old) {
    if (!old.closed || !reaches_clients_of(listener, old)) return;
    sessions_.for_each([&](SlabHandle at, UdpSession& session) {
      if (session.key.listener != other.index) return;
      table_.erase(session.key, at.index);
      session.key.listener = handle.index;
      // Of two listeners on one address, each with a session of the client, one goes on; answers
      // of both reach it.
      if (find_session(session.key) == UdpSessionTable::kNone) {
        table_.insert(session.key, at.index);
      }
      ++listener.sessions;
    });
    forget(other, old);
  });
}

void UdpForwarder::set_rule(SlabHandle handle, std::shared_ptr<LiveRule> rule) {
  if (UdpListener* const listener = listeners_.find(handle)) listener->rule = std::move(rule);
}

void UdpForwarder::close(SlabHandle handle) {
  UdpListener* const listener = listeners_.find(handle);
  if (listener == nullptr || listener->closed) return;
  // What came before the call is served, as far as one turn goes.
  read_listener(handle);
  listener->closed = true;
  if (listener->sessions == 0) {
    forget(handle, *listener);
    return;
  }
  // What comes from now on is not to wake us; errors about answers still do. Where that cannot be
  // had, each datagram wakes us once, and is not read.
  (void)context_.loop.modify(listener->socket.fd(), EPOLLET,
                             EventTag::of(EventKind::kUdpListener, handle).pack());
}

// A session of this listener has ended.
void UdpForwarder::release_listener(std::uint32_t index) {
  UdpListener& listener = listeners_.at(index);
  --listener.sessions;
  if (listener.closed && listener.sessions == 0) forget(listeners_.handle_of(index), listener);
}

// Another process may hold the same socket, and then closing ours would not end the interest.
void UdpForwarder::forget(SlabHandle handle, UdpListener& listener) {
  (void)context_.loop.remove(listener.socket.fd());
  listeners_.erase(handle);
}

void UdpForwarder::mark_pending(SlabHandle handle, UdpListener& listener) {
  if (std::exchange(listener.pending, true)) return;
  pending_listeners_.push_back(handle);
}

void UdpForwarder::mark_pending(SlabHandle handle, UdpSession& session) {
  if (std::exchange(session.pending, true)) return;
  pending_sessions_.push_back(handle);
}

[[gnu::noinline]] void UdpForwarder::read_listener(SlabHandle handle) {
  for (int batch = 0; batch < kBatchesPerTurn; ++batch) {
    UdpListener* const listener = listeners_.find(handle);
    if (listener == nullptr || listener->closed) return;
    if (is_crowded(*listener)) {
      mark_pending(handle, *listener);
      return;
    }
    const auto slots = rows_.slots();
    const auto count = listener->socket.receive(context_.scratch, slots);
    // An error is about a client that went away, and is in the error queue, too.
    if (!count) continue;
    const std::size_t before = effort_;
    if (*count > 0) deliver(handle, slots.first(*count));
    UdpListener* const after = listeners_.find(handle);
    if (after != nullptr && effort_ - before >= kCrowd) {
      after->crowded_until = context_.now + kCrowdLasts;
    }
    if (*count < slots.size()) return;
  }
  if (UdpListener* const listener = listeners_.find(handle)) mark_pending(handle, *listener);
}

// A datagram may begin a session, so no more are taken from the kernel than may begin one.
[[gnu::noinline]] void UdpForwarder::read_crowd(SlabHandle handle) {
  for (std::size_t rows = 0; rows < kRows;) {
    UdpListener* const listener = listeners_.find(handle);
    if (listener == nullptr || listener->closed) return;
    if (effort_ >= kEffortPerTurn) break;
    const bool datagrams = listener->rule->plan.targets_udp();
    const std::size_t each = datagrams ? kDatagramEffort : kStreamEffort;
    const std::size_t most = std::max<std::size_t>((kEffortPerTurn - effort_) / each, 1);
    const auto slots = rows_.slots().first(most);
    const auto count = listener->socket.receive(context_.scratch, slots);
    rows += most;
    if (!count) continue;
    const std::size_t before = effort_;
    if (*count > 0) deliver(handle, slots.first(*count));
    UdpListener* const after = listeners_.find(handle);
    if (after != nullptr && effort_ > before) {
      after->crowded_until = context_.now + kCrowdLasts;
    }
    if (*count < slots.size()) return;
  }
  if (UdpListener* const listener = listeners_.find(handle)) mark_pending(handle, *listener);
}

// ICMP errors about answers: the client is not there any more.
[[gnu::cold]] void UdpForwarder::read_listener_errors(SlabHandle handle) {
  std::array<std::uint8_t, 8> quote{};
  for (int i = 0; i < kErrorsPerTurn; ++i) {
    UdpListener* const listener = listeners_.find(handle);
    if (listener == nullptr) return;
    const auto report = listener->socket.read_errors(quote);
    if (!report || !*report) return;
    const host::ErrorReport& error = **report;
    if (!host::is_refusal(error)) continue;
    // The report of a link-local client does not name the interface.
    if (error.destination.address.is_link_local() && !error.destination.address.is_v4()) continue;
    const UdpSessionKey key{.client = error.destination,
                            .local = error.local.value_or(wire::IpAddress{}),
                            .scope_id = 0,
                            .listener = handle.index};
    const std::uint32_t index = find_session(key);
    if (index == UdpSessionTable::kNone) continue;
    end(sessions_.handle_of(index), SessionResult::kClientReset, error.error);
  }
  if (UdpListener* const listener = listeners_.find(handle)) mark_pending(handle, *listener);
}

void UdpForwarder::on_event(EventTag tag, std::uint32_t events) {
  if (tag.kind == EventKind::kUdpListener) {
    const SlabHandle handle = tag.handle_in(listeners_);
    // Before the datagrams: a client that came back gets a session of its own.
    if ((events & EPOLLERR) != 0) read_listener_errors(handle);
    if ((events & EPOLLIN) != 0) read_listener(handle);
    return;
  }
  if (tag.kind == EventKind::kUdpRacer) {
    on_racer_event(tag, events);
    return;
  }
  const SlabHandle handle = tag.handle_in(sessions_);
  if (tag.kind == EventKind::kUdpStream) {
    on_stream_event(handle, events);
    return;
  }
  // Answers that came before an error are still the client's.
  if ((events & EPOLLIN) != 0) read_answers(handle);
  if ((events & EPOLLERR) != 0) read_errors(handle);
}

// A session's only timer. It is armed again when it fires, not with each datagram.
void UdpForwarder::on_timer(EventTag tag) {
  const SlabHandle handle = tag.handle_in(sessions_);
  UdpSession* const session = sessions_.find(handle);
  if (session == nullptr) return;
  switch (session->phase) {
    case UdpPhase::kConnecting: on_connect_timer(handle, *session); return;
    case UdpPhase::kFailed: end(handle, SessionResult::kConnectFailed, 0); return;
    case UdpPhase::kOpen: {
      const Instant due = session->last_traffic + session->rule->plan.timeouts.udp_session;
      if (due > context_.now) {
        context_.timers.arm(session->timer, due);
      } else {
        end(handle, SessionResult::kIdle, 0);
      }
      return;
    }
  }
}

bool UdpForwarder::run_pending() {
  // Those that are marked again while they run wait for the next turn.
  const std::vector<SlabHandle> listeners = std::exchange(pending_listeners_, {});
  effort_ = 0;
  for (const SlabHandle handle : listeners) {
    if (UdpListener* const listener = listeners_.find(handle)) listener->pending = false;
    read_listener_errors(handle);
    const UdpListener* const listener = listeners_.find(handle);
    if (listener != nullptr && is_crowded(*listener)) {
      read_crowd(handle);
    } else {
      read_listener(handle);
    }
  }
  // Another one comes first next time: the first may use up what there is.
  if (pending_listeners_.size() > 1) {
    std::ranges::rotate(pending_listeners_, pending_listeners_.begin() + 1);
  }
  const std::vector<SlabHandle> sessions = std::exchange(pending_sessions_, {});
  for (const SlabHandle handle : sessions) {
    UdpSession* const session = sessions_.find(handle);
    if (session == nullptr) continue;
    session->pending = false;
    if (session->stream != nullptr) {
      read_stream(handle);
    } else {
      read_answers(handle);
    }
  }
  return !pending_listeners_.empty() || !pending_sessions_.empty();
}

std::size_t UdpForwarder::end_quiet(Duration quiet) {
  sessions_.for_each([&](SlabHandle handle, UdpSession& session) {
    if (context_.now - session.last_traffic >= quiet) end(handle, SessionResult::kStopped, 0);
  });
  return sessions_.size();
}

void UdpForwarder::end_all() {
  sessions_.for_each(
      [this](SlabHandle handle, UdpSession&) { end(handle, SessionResult::kStopped, 0); });
}

std::uint32_t UdpForwarder::list(SessionRange range, std::vector<SessionRecord>& out) {
  using Listed = std::optional<SessionRecord>;
  return list_sessions(sessions_, range, out, [this](const UdpSession& session) -> Listed {
    if (session.phase == UdpPhase::kFailed) return std::nullopt;  // It was told as such.
    SessionRecord record = record_of(session.rule, facts_of(session, context_.now));
    record.connecting = session.phase != UdpPhase::kOpen;
    return record;
  });
}

bool UdpForwarder::kill(std::uint64_t number) {
  // One that failed is a memory only.
  const SlabHandle handle = session_numbered(sessions_, [&](const UdpSession& session) {
    return session.number == number && session.phase != UdpPhase::kFailed;
  });
  UdpSession* const session = sessions_.find(handle);
  if (session == nullptr) return false;
  if (session->stream != nullptr) session->stream->socket().reset();
  end(handle, SessionResult::kKilled, 0);
  return true;
}

void UdpForwarder::publish_counters() {
  sessions_.for_each([](SlabHandle, UdpSession& session) {
    session.published.publish(session.bytes, *session.rule->counters);
  });
}

}  // namespace sluice::forward
