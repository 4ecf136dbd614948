// The states of a TCP flow and what each holds. docs/tcp_relay.md has the table of states and
// events. "Guest" is the TCP in the namespace or machine; "host" is the kernel socket that the
// driver holds for us; we are no TCP endpoint of our own but the exact translation between them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "base/time.h"
#include "base/timer_wheel.h"
#include "flow/core/action.h"
#include "flow/core/flow_key.h"
#include "flow/core/metered.h"
#include "flow/core/named_by.h"
#include "flow/gate/refused.h"
#include "flow/gate/watched.h"
#include "flow/gate/way.h"
#include "flow/tcp/guest_tcp_options.h"
#include "flow/tcp/kept_bytes.h"
#include "flow/tcp/tcp_receiver.h"
#include "flow/tcp/tcp_sender.h"
#include "policy/verdict.h"
#include "wire/seq_num.h"

namespace sluice::flow {

// Why a connect, or a connection, failed on the host's side.
enum class HostError : std::uint8_t {
  kRefused,
  kReset,
  kResetAfterEnd,  // A RST behind a FIN.
  kNetUnreachable,
  kHostUnreachable,
  kProhibited,  // A filter of the host forbids it.
  kTimedOut,
  kNoDescriptors,
  kWayFailed,  // Who was to connect in our place did not, or said no.
  kOther,
};

// The guest's SYN waits for a verdict; the host knows nothing of it yet.
struct Deciding {
  wire::SeqNum guest_isn;
  wire::Endpoint target;
  Gate gate = Gate::kOpen;  // What its first bytes pass whoever lets it through.
  bool client_first = false;
};

// The guest's SYN waits until it is known where the name leads that its address stands for.
struct Finding {
  wire::SeqNum guest_isn;
};

// The guest's SYN waits for the host's connect().
struct Connecting {
  wire::SeqNum guest_isn;
};

// The host connected, the guest has our SYN-ACK.
struct SynAckSent {
  wire::SeqNum guest_next;
  wire::SeqNum our_isn;
  std::uint32_t host_room = 0;
  std::uint8_t resends = 0;
};

// A client of a published port connected; the guest has our SYN.
struct SynSent {
  wire::SeqNum our_isn;
  std::uint32_t host_room = 0;
  std::uint8_t resends = 0;
  bool other_family = false;  // Nobody listened in the family of the port that was called.
  bool may_call = false;      // Where the guest refuses, its loopback is tried (tcp_loopback.cc).
};

// Two kernel sockets are to be joined, one of the host's and one of the guest's network, and one
// of them has no connection yet: the guest's, of a client that came by our loopback, or the host's,
// of a program of the guest's that called its own loopback. No frame of it passes the link.
struct Joining {
  std::uint32_t host_room = 0;
  // The server at the guest's loopback that was called; of the other direction nothing counts.
  wire::Endpoint server{};
  bool other_family = false;  // Nobody waited in the family that was called first.
  bool refused = false;       // ... nor at the guest's address.
};

// Both sides are connected. Each half of the translation knows its own direction.
struct Relaying {
  Receiver rx;  // Guest to host.
  Sender tx;    // Host to guest.
};

// As Relaying, but what the guest sends is kept (TcpFlow::kept) until it is judged, and then until
// the host has it. Nothing of it is in `rx`, but its numbers.
struct Gated {
  Relaying relaying;
};

// Both directions are done; a repeated FIN is still answered (TIME-WAIT, for as long as the link
// can hold a repeat).
struct Lingering {
  wire::SeqNum guest_next;
  wire::SeqNum our_next;
};

// A kernel socket in the guest's namespace is our end of the connection now, and the driver joins
// it to the host's (tcp_hand_over.cc, tcp_loopback.cc).
struct HandedOver {
  wire::SeqNum guest_isn;
  bool over = false;  // Both are closed, and the flow was reported; repeats may still come.
  // What the flow had carried when it was handed over.
  std::uint64_t to_host_before = 0;
  std::uint64_t to_guest_before = 0;
  // As the driver saw it last: bytes of the guest's that wait for the host, and whether the host
  // was passed the guest's FIN.
  std::uint64_t waiting = 0;
  bool host_shut = false;
};

using TcpState = std::variant<Connecting, SynAckSent, SynSent, Relaying, Lingering, HandedOver,
                              Deciding, Gated, Refused, Finding, Joining>;

// The flow was reported, and only waits for packets that may still come.
[[nodiscard]] inline bool is_over(const TcpState& state) {
  const auto* handed_over = std::get_if<HandedOver>(&state);
  return std::holds_alternative<Lingering>(state) || std::holds_alternative<Refused>(state) ||
         (handed_over != nullptr && handed_over->over);
}

// The driver holds something for the flow, which a CloseTcp ends.
[[nodiscard]] inline bool has_socket(const TcpState& state) {
  return !is_over(state) && !std::holds_alternative<Deciding>(state) &&
         !std::holds_alternative<Finding>(state);
}

// How far a flow in Relaying is on its way to HandedOver.
enum class HandOverStage : std::uint8_t {
  kNone,
  kWanted,  // Nothing new is sent or offered until all that is under way has arrived.
  kAsked,   // The driver was asked. The flow stands still: its packets wait with the driver.
};

// Addresses that a name leads to, which are tried one after the other.
struct Dialing {
  std::vector<wire::Endpoint> targets;
  std::size_t next = 0;  // Those before it were tried; the last of these is.

  [[nodiscard]] bool has_more() const { return next < targets.size(); }
};

struct TcpFlow {
  explicit TcpFlow(const FlowKey& flow_key) : key(flow_key) {}

  FlowKey key;
  TcpId id;
  TcpState state;
  GuestTcpOptions guest;
  bool inbound = false;
  // Of two kernel sockets, each at a loopback. Its key leads no frame here.
  bool by_loopback = false;
  bool told = false;   // Somebody was told that it begins.
  bool asked = false;  // An AskPolicy waits for its answer.
  // Its window is what its host has room for, and it is never handed over: its host is our DNS
  // (dns_streams.h), not a socket, or its first bytes are kept.
  bool room_only = false;
  policy::Verdict verdict = policy::Verdict::kAccepted;
  NamedBy by{};
  Metered metered{};
  std::unique_ptr<Way> way;  // By whom it is led; null: by nobody.
  // The guest has its answer, and the host is asked for a connection only when its first bytes are
  // judged: whom it is led by depends on them.
  bool hostless = false;
  bool used_up = false;        // Nothing is left for it: it ends.
  bool host_readable = false;  // The host may have bytes (edge-triggered, so we remember).
  bool host_hung_up = false;   // The host's FIN arrived; it may be behind bytes.
  // The host's side failed. What it sent before is the guest's yet.
  std::optional<HostError> host_failed;
  HandOverStage hand_over = HandOverStage::kNone;
  std::uint8_t hand_overs_failed = 0;
  bool answered = false;    // The guest got bytes since it last sent some.
  std::uint32_t turns = 0;  // How often the guest sent bytes after it got some.

  // The current burst.
  bool touched = false;
  bool ack_due = false;
  bool deferred = false;

  std::unique_ptr<Dialing> dialing;  // Of an address that stands for a name.
  std::unique_ptr<KeptBytes> kept;   // Its first bytes, where these are judged.
  std::unique_ptr<Watched> watched;  // Its requests are judged for as long as it lives.

  TimerNode timer;
  Instant opened{};
  Instant active{};
  Instant moved{};                    // When the host last took some of the guest's bytes.
  Duration lull{};                    // Before the guest's newest segment.
  Instant hand_over_until = kNever;   // In kWanted: when to give it up.
  std::uint64_t hand_over_after = 0;  // Not before so many bytes: it failed once.
  std::uint64_t bytes_to_host = 0;
  std::uint64_t bytes_to_guest = 0;

  [[nodiscard]] std::optional<wire::Endpoint> leads_to() const {
    if (dialing == nullptr) [[likely]]
      return std::nullopt;
    return dialing->targets[dialing->next - 1];
  }
};

// Goes on to the next address that is to be tried; false where there is none.
[[nodiscard]] bool dial_next(TcpFlow& flow, wire::SeqNum guest_isn, TimerWheel& timers, Turn turn);

// A connection that stands, with its first bytes kept or not; nothing in other states.
[[nodiscard]] inline Relaying* standing(TcpFlow& flow) {
  if (auto* state = std::get_if<Relaying>(&flow.state)) [[likely]]
    return state;
  auto* gated = std::get_if<Gated>(&flow.state);
  return gated == nullptr ? nullptr : &gated->relaying;
}

// What the guest has acknowledged is off the host's queue.
inline void discard_acked(const TcpFlow& flow, Sender& tx, ActionSink& out) {
  if (const std::uint32_t bytes = tx.take_acked(); bytes != 0) {
    out.push(DiscardTcp{flow.id, bytes});
  }
}

// Asks for the flow's host: the target, or who leads there, as its rule says. False: by whom, or to
// which name, cannot be said.
[[nodiscard]] bool ask_host(TcpFlow& flow, const wire::Endpoint& target,
                            const FlowAdmission& admission, ActionSink& out);

// Of a limit: what the host is handed is claimed of this by whoever hands it on. Null: no limit.
[[nodiscard]] inline policy::Lane* lane_to_host(const TcpFlow& flow) {
  return flow.metered.meter == nullptr ? nullptr : &flow.metered.meter->to_host();
}
// So many bytes of what a PeekTcp was claimed for have come.
inline void settle_from_host(const TcpFlow& flow, Sender& tx, std::size_t used, Instant now) {
  flow.metered.meter->from_host().settle(std::exchange(tx.claimed, 0), used, now);
}

}  // namespace sluice::flow
