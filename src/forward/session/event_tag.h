// What events and timers of a forwarding worker are about. The worker hands each to the part that
// registered it, by kind.
#pragma once

#include <cstdint>

#include "base/event_tag.h"

namespace sluice::forward {

enum class EventKind : std::uint8_t {
  kMailbox,
  kListener,        // TcpForwarder: a TCP or UNIX listener
  kClient,          // TcpForwarder: the client's socket, and the connection's timer
  kTarget,          // TcpForwarder: the target's socket
  kTargetRacer,     // TcpForwarder: a connect beside others, by its handle in ConnectRaces
  kAcceptPause,     // TcpForwarder: accepting goes on after EMFILE
  kUdpListener,     // UdpForwarder
  kUdpSession,      // UdpForwarder: a session's datagram socket, and its timer
  kUdpStream,       // UdpForwarder: the stream of a session that crosses to TCP
  kUdpRacer,        // UdpForwarder: a connect beside others, by its handle in ConnectRaces
  kBridgeStream,    // TcpToUdp: the client's stream, and the session's timer
  kBridgeDatagram,  // TcpToUdp: the socket to the target
  kLogFlush,        // The worker's session log has lines to write.
};

using EventTag = sluice::EventTag<EventKind>;

}  // namespace sluice::forward
