// Rules that listen on TCP (or a UNIX socket) and lead to a UDP target: a connected UDP socket for
// each connection. Without framing, one read from the stream is one datagram and each datagram back
// is written to the stream (the reference's tcptoudp); with Framing::kLength16 borders survive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "forward/event_tag.h"
#include "forward/live_rule.h"
#include "forward/services.h"
#include "host/tcp_socket.h"

namespace sluice::forward {

// A client that was accepted and admitted.
struct AcceptedStream {
  host::TcpSocket socket;  // In no event loop yet.
  wire::Endpoint client;
  std::shared_ptr<LiveRule> rule;
  Admission::Ticket ticket;
  std::uint16_t listen_port = 0;
  std::uint16_t port_offset = 0;
  Instant accepted_at{};
};

class TcpToUdp {
 public:
  explicit TcpToUdp(Services& services);
  ~TcpToUdp();

  // `head`: bytes that were read already, behind a PROXY header.
  void start(AcceptedStream stream, ByteView head);

  void on_event(EventTag tag, std::uint32_t events);  // kBridgeStream, kBridgeDatagram
  void on_timer(EventTag tag);
  [[nodiscard]] bool run_pending();

  [[nodiscard]] std::size_t sessions() const;
  void end_all();
  void publish_counters();
};

}  // namespace sluice::forward
