#include "forward/tcp/tcp_listeners.h"

#include <utility>

#include "telemetry/log.h"

namespace sluice::forward {
namespace {

constexpr Duration kWarningEvery = std::chrono::seconds{10};

}  // namespace

TcpListeners::TcpListeners(WorkerContext& context, AcceptSink& sink)
    : context_(context), sink_(sink), pause_timer_(EventTag{EventKind::kAcceptPause}.pack()) {}

// Level-triggered: a turn may leave connections in the queue.
std::expected<SlabHandle, sys::SysError> TcpListeners::add(StreamListener listener) {
  const int fd = listener.socket.get();
  const SlabHandle handle = listeners_.emplace(std::move(listener));
  const std::uint32_t events = pause_timer_.armed() ? 0U : std::uint32_t{EPOLLIN};
  const auto added =
      context_.loop.add(fd, events, EventTag::of(EventKind::kListener, handle).pack());
  if (!added) {
    listeners_.erase(handle);
    return std::unexpected(added.error());
  }
  return handle;
}

void TcpListeners::close(SlabHandle handle) {
  StreamListener* const listener = listeners_.find(handle);
  if (listener == nullptr) return;
  while (accept_some(*listener, host::AcceptShare::kMax) == host::AcceptShare::kMax) {
  }
  // Another process may hold the same socket, and then closing ours would not end the interest.
  (void)context_.loop.remove(listener->socket.get());
  listeners_.erase(handle);
}

void TcpListeners::on_event(EventTag tag) {
  StreamListener* const listener = listeners_.find(tag.handle_in(listeners_));
  if (listener == nullptr) return;
  listener->share.took(accept_some(*listener, listener->share.most()));
}

std::uint32_t TcpListeners::accept_some(StreamListener& listener, std::uint32_t most) {
  std::uint32_t count = 0;
  while (count < most) {
    auto accepted = host::accept_from(listener.socket);
    if (!accepted && sys::is_exhaustion(accepted.error().error)) pause();
    if (!accepted || !*accepted) break;
    ++count;
    sink_.accepted(listener.serves,
                   {std::move((*accepted)->socket), (*accepted)->peer.value_or(wire::Endpoint{})});
  }
  return count;
}

void TcpListeners::pause() {
  if (pause_timer_.armed()) return;
  context_.timers.arm(pause_timer_, context_.now + host::kAcceptPause);
  (void)watch_all(0);  // One that goes on asks in vain until the pause ends.
  if (context_.now < next_warning_) return;
  next_warning_ = context_.now + kWarningEvery;
  telemetry::log_warn(
      "no file descriptor is left: new connections wait until others end; raise the limit "
      "(ulimit -n, LimitNOFILE=) or set limits of connections");
}

void TcpListeners::on_timer() {
  // One that stays unwatched would never accept again.
  if (!watch_all(EPOLLIN)) {
    context_.timers.arm(pause_timer_, context_.now + host::kAcceptPause);
  }
}

bool TcpListeners::watch_all(std::uint32_t events) {
  bool all = true;
  listeners_.for_each([&](SlabHandle handle, StreamListener& listener) {
    const auto watched = context_.loop.modify(listener.socket.get(), events,
                                              EventTag::of(EventKind::kListener, handle).pack());
    all = all && watched.has_value();
  });
  return all;
}

}  // namespace sluice::forward
