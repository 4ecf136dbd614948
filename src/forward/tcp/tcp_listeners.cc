#include "forward/tcp/tcp_listeners.h"

#include <algorithm>
#include <optional>

#include "sys/sockaddr.h"
#include "telemetry/log.h"

namespace sluice::forward {
namespace {

constexpr std::uint32_t kShareMax = 64;  // Others have their turn after so many.
constexpr Duration kPause = std::chrono::milliseconds{50};
constexpr Duration kWarningEvery = std::chrono::seconds{10};

// accept(2): errors that belong to the connection in the queue, not to the listener.
bool is_of_connection(int error) {
  return error != EAGAIN && !sys::is_exhaustion(error) && error != EBADF && error != EINVAL &&
         error != ENOTSOCK;
}

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
  while (accept_some(*listener, kShareMax) == kShareMax) {
  }
  // Another process may hold the same socket, and then closing ours would not end the interest.
  (void)context_.loop.remove(listener->socket.get());
  listeners_.erase(handle);
}

void TcpListeners::on_event(EventTag tag) {
  StreamListener* const listener = listeners_.find(tag.handle_in(listeners_));
  if (listener == nullptr) return;
  // One call of accept a turn while connections come one by one: asking again only to hear EAGAIN
  // is expensive when each lives for one request.
  const std::uint32_t accepted = accept_some(*listener, listener->share);
  listener->share = accepted == listener->share ? std::min(2 * listener->share, kShareMax)
                                                : std::max(1U, accepted);
}

std::uint32_t TcpListeners::accept_some(StreamListener& listener, std::uint32_t most) {
  std::uint32_t count = 0;
  for (std::uint32_t attempt = 0; attempt < most; ++attempt) {
    sockaddr_storage peer;
    socklen_t length = sizeof peer;
    const int fd =
        context_.kernel.accept4(listener.socket.get(), reinterpret_cast<sockaddr*>(&peer), &length,
                                SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (is_of_connection(errno)) continue;
      if (sys::is_exhaustion(errno)) pause();
      break;
    }
    ++count;
    const std::optional<wire::Endpoint> client = sys::from_sockaddr(peer, length);
    sink_.accepted(listener.serves,
                   {sys::KernelFd(context_.kernel, fd), client.value_or(wire::Endpoint{})});
  }
  return count;
}

void TcpListeners::pause() {
  if (pause_timer_.armed()) return;
  context_.timers.arm(pause_timer_, context_.now + kPause);
  watch_all(0);
  if (context_.now < next_warning_) return;
  next_warning_ = context_.now + kWarningEvery;
  telemetry::log_warn(
      "no file descriptor is left: new connections wait until others end; raise the limit "
      "(ulimit -n, LimitNOFILE=) or set limits of connections");
}

void TcpListeners::on_timer() { watch_all(EPOLLIN); }

void TcpListeners::watch_all(std::uint32_t events) {
  listeners_.for_each([&](SlabHandle handle, StreamListener& listener) {
    (void)context_.loop.modify(listener.socket.get(), events,
                               EventTag::of(EventKind::kListener, handle).pack());
  });
}

}  // namespace sluice::forward
