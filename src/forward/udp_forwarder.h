// Rules that listen on UDP. To a UDP target: a session (a connected socket) for each client
// endpoint. To a TCP target: a stream for each client endpoint (udp_to_tcp.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/slab.h"
#include "forward/event_tag.h"
#include "forward/live_rule.h"
#include "forward/services.h"
#include "host/udp_socket.h"

namespace sluice::forward {

class UdpForwarder {
 public:
  explicit UdpForwarder(Services& services);
  ~UdpForwarder();

  // Takes over a bound socket. The result names the listener.
  [[nodiscard]] SlabHandle listen(host::KernelFd socket, std::shared_ptr<LiveRule> rule,
                                  std::uint16_t port, std::uint16_t port_offset);
  // New sessions follow this rule; those that are go on as they began.
  void set_rule(SlabHandle listener, std::shared_ptr<LiveRule> rule);
  // Reads no more from clients; answers still go out until the sessions end.
  void close(SlabHandle listener);

  void on_event(EventTag tag, std::uint32_t events);  // kUdpListener, kUdpSession, kUdpStream
  void on_timer(EventTag tag);
  // Continues what used up its share of a turn; true when there is more.
  [[nodiscard]] bool run_pending();

  [[nodiscard]] std::size_t sessions() const;
  // Those with traffic in the last `quiet`; the others are ended.
  [[nodiscard]] std::size_t end_quiet(Duration quiet);
  void end_all();
  void publish_counters();
};

}  // namespace sluice::forward
