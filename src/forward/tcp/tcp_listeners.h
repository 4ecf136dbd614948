// The stream listeners of one worker: accepts, pauses when descriptors run out, closes without
// losing what waits. What becomes of a connection is its owner's matter.
#pragma once

#include <cstdint>
#include <memory>

#include "base/slab.h"
#include "base/timer_wheel.h"
#include "forward/session/event_tag.h"
#include "forward/session/live_rule.h"
#include "forward/session/worker_context.h"
#include "host/accept.h"
#include "sys/kernel.h"
#include "wire/address.h"

namespace sluice::forward {

// What a listener's connections are served by.
struct ListenerRule {
  std::shared_ptr<LiveRule> rule;
  std::uint16_t port = 0;         // 0: a UNIX socket.
  std::uint16_t port_offset = 0;  // Into the rule's range of ports.
};

struct StreamListener {
  ListenerRule serves;
  sys::KernelFd socket;
  host::AcceptShare share{};
};

struct AcceptedClient {
  sys::KernelFd socket;
  wire::Endpoint client;  // Of a UNIX socket "::" and port 0.
};

// Takes each accepted connection; must not call back into TcpListeners except pause().
class AcceptSink {
 public:
  virtual void accepted(const ListenerRule& listener, AcceptedClient client) = 0;

 protected:
  ~AcceptSink() = default;
};

class TcpListeners {
 public:
  TcpListeners(WorkerContext& context, AcceptSink& sink);

  // Takes over a bound and listening socket. The error is epoll's.
  [[nodiscard]] std::expected<SlabHandle, sys::SysError> add(StreamListener listener);
  [[nodiscard]] StreamListener* find(SlabHandle listener) { return listeners_.find(listener); }
  // Accepts what waits in its queue, then closes it.
  void close(SlabHandle listener);

  void on_event(EventTag tag);
  void on_timer();
  // No descriptor is left: connections wait in the kernel's queues for a while, instead of being
  // accepted and dropped.
  void pause();

 private:
  // Returns how many it took, at most `most`.
  std::uint32_t accept_some(StreamListener& listener, std::uint32_t most);
  // Whether all listeners are watched for these now.
  [[nodiscard]] bool watch_all(std::uint32_t events);

  WorkerContext& context_;
  AcceptSink& sink_;
  Slab<StreamListener> listeners_;
  TimerNode pause_timer_;
  Instant next_warning_{};
};

}  // namespace sluice::forward
