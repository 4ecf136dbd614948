// One TCP (or UNIX stream) session of a worker, from its accept to its end.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/time.h"
#include "base/timer_wheel.h"
#include "forward/session/connect_race.h"
#include "forward/session/live_rule.h"
#include "forward/session/session_accounting.h"
#include "host/tcp_socket.h"
#include "relay/pair.h"
#include "wire/address.h"

namespace sluice::forward {

// What precedes the relay of a client that begins with a PROXY header.
struct HeaderBuffer {
  std::vector<std::uint8_t> bytes;            // The header, then what was read behind it.
  std::size_t header_size = 0;                // 0: not whole yet.
  std::optional<wire::Endpoint> destination;  // As the header told it.
};

enum class Phase : std::uint8_t {
  kReadingHeader,  // Waiting for the client's PROXY header.
  kConnecting,     // Waiting for a target to answer.
  kNoDescriptor,   // Waiting for a descriptor with which to connect.
  kRelaying,
};

struct TcpConnection {
  relay::Pair pair;  // In kRelaying; it has both sockets then.
  host::TcpSocket client_socket;
  host::TcpSocket target_socket;
  std::shared_ptr<LiveRule> rule;
  ClientAdmission::Ticket ticket;
  std::unique_ptr<HeaderBuffer> header;  // Until the relay starts; null without a PROXY header.
  std::unique_ptr<Race> race;            // While it connects to several addresses of its target.
  TimerNode timer;
  Attempt attempt;
  std::uint64_t number = 0;  // Names it in this process.
  wire::Endpoint client;     // The true one, once a PROXY header told.
  std::uint16_t listen_port = 0;
  Phase phase = Phase::kConnecting;
  relay::Transport client_reads = relay::Transport::kTcp;
  relay::Transport target_reads = relay::Transport::kTcp;
  bool queued = false;                    // In the forwarder's list of those to pump.
  std::uint32_t early_client_events = 0;  // What epoll told before the relay began.
  std::uint32_t early_target_events = 0;
  bool client_watched = false;
  bool admitted = false;  // It counts as an active session of its rule.
  int last_error = 0;     // Of the last failed connect.
  Instant accepted_at{};
  Instant connect_until{};  // The time that its target has, all addresses together.
  Instant last_active{};
  std::uint64_t bytes_at_timer = 0;  // Both ways, when the timer last fired.
  PublishedBytes published;

  [[nodiscard]] SessionBytes bytes() const {
    return {.to_target = pair.bytes_to_target(), .to_client = pair.bytes_to_client()};
  }
};

}  // namespace sluice::forward
