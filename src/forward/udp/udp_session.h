// A session of a UDP client, and the listener it came to.
//
//   kConnecting --connected--> kOpen --end--> gone
//        \--no target left--> kFailed --back-off--> gone
//
// A session to a UDP target begins in kOpen. kFailed is the memory that a client's session could
// not begin: its datagrams are dropped for a moment, then the next one tries anew.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/slab.h"
#include "base/time.h"
#include "base/timer_wheel.h"
#include "forward/session/live_rule.h"
#include "forward/session/session_accounting.h"
#include "forward/udp/udp_session_table.h"
#include "forward/udp/udp_to_tcp.h"
#include "host/udp_socket.h"

namespace sluice::forward {

enum class UdpPhase : std::uint8_t { kConnecting, kOpen, kFailed };

struct UdpSession {
  static constexpr std::uint32_t kNone = 0xffff'ffff;

  UdpSessionKey key;
  host::UdpSocket socket;             // To a UDP target.
  std::unique_ptr<UdpStream> stream;  // To a stream; null to a UDP target.
  std::shared_ptr<LiveRule> rule;
  ClientAdmission::Ticket ticket;
  TimerNode timer;
  Attempt attempt;
  std::optional<wire::IpAddress>
      local;                 // The address the client had sent to: answers come from it.
  std::uint64_t number = 0;  // Names it in this process.
  SessionBytes bytes;
  PublishedBytes published;
  Instant opened_at{};
  Instant last_traffic{};   // Either way.
  Instant connect_until{};  // The time that a stream target has, all addresses together.
  std::uint16_t listen_port = 0;
  UdpPhase phase = UdpPhase::kConnecting;
  bool target_in_use = false;  // TargetSet::ended() is owed.
  bool answered = false;       // The target has sent something.
  bool talks = false;          // Its client has sent more than one datagram.
  bool pending = false;        // In the list of those to continue.

  // Datagrams of the batch that is being delivered: a chain of slots.
  std::uint64_t batch = 0;
  std::uint8_t first_slot = 0;
  std::uint8_t last_slot = 0;

  // In one of the two lists of those that may make room.
  std::uint32_t older = kNone;
  std::uint32_t newer = kNone;
};
// What an idle session may take; the kernel's sockets are beside it.
static_assert(sizeof(UdpSession) <= 512);

// Of one that lives.
[[nodiscard]] inline SessionFacts facts_of(const UdpSession& session, Instant now) {
  return {.number = session.number,
          .result = SessionResult::kOpened,
          .error = 0,
          .client = session.key.client,
          .listen_port = session.listen_port,
          .attempt = &session.attempt,
          .udp = true,
          .bytes = session.bytes,
          .duration = now - session.opened_at};
}

struct UdpListener {
  host::UdpSocket socket;
  std::shared_ptr<LiveRule> rule;  // Of new sessions.
  std::size_t sessions = 0;
  Instant crowded_until{};  // Many datagrams are of new clients.
  std::uint16_t port = 0;
  std::uint16_t port_offset = 0;
  bool closed = false;  // Reads no more; goes with its last session.
  bool pending = false;
};

// Sessions in the order in which they may make room for others. Each is in one such list. Links are
// indices into the slab.
class SessionQueue {
 public:
  explicit SessionQueue(Slab<UdpSession>& sessions) : sessions_(sessions) {}

  [[nodiscard]] std::uint32_t oldest() const { return oldest_; }
  [[nodiscard]] std::uint32_t newest() const { return newest_; }

  void append(std::uint32_t index) {
    UdpSession& session = sessions_.at(index);
    session.older = newest_;
    session.newer = UdpSession::kNone;
    (newest_ == UdpSession::kNone ? oldest_ : sessions_.at(newest_).newer) = index;
    newest_ = index;
  }

  // Not in the list: nothing happens.
  void remove(std::uint32_t index) {
    UdpSession& session = sessions_.at(index);
    if (session.older == UdpSession::kNone && oldest_ != index) return;
    (session.older == UdpSession::kNone ? oldest_ : sessions_.at(session.older).newer) =
        session.newer;
    (session.newer == UdpSession::kNone ? newest_ : sessions_.at(session.newer).older) =
        session.older;
    session.older = UdpSession::kNone;
    session.newer = UdpSession::kNone;
  }

 private:
  Slab<UdpSession>& sessions_;
  std::uint32_t oldest_ = UdpSession::kNone;
  std::uint32_t newest_ = UdpSession::kNone;
};

}  // namespace sluice::forward
