// The states of a TCP flow and what each holds. docs/tcp_relay.md has the table of states and
// events. "Guest" is the TCP in the namespace or machine; "host" is the kernel socket that the
// driver holds for us; we are no TCP endpoint of our own but the exact translation between them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <variant>

#include "base/time.h"
#include "base/timer_wheel.h"
#include "flow/core/action.h"
#include "flow/core/flow_key.h"
#include "flow/core/named_by.h"
#include "flow/tcp/guest_tcp_options.h"
#include "flow/tcp/kept_bytes.h"
#include "flow/tcp/refused.h"
#include "flow/tcp/tcp_receiver.h"
#include "flow/tcp/tcp_sender.h"
#include "flow/tcp/watched.h"
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
  kOther,
};

// The guest's SYN waits for a verdict; the host knows nothing of it yet.
struct Deciding {
  wire::SeqNum guest_isn;
  wire::Endpoint target;
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
// it to the host's (tcp_hand_over.cc).
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
                              Deciding, Gated, Refused>;

// The flow was reported, and only waits for packets that may still come.
[[nodiscard]] inline bool is_over(const TcpState& state) {
  const auto* handed_over = std::get_if<HandedOver>(&state);
  return std::holds_alternative<Lingering>(state) || std::holds_alternative<Refused>(state) ||
         (handed_over != nullptr && handed_over->over);
}

// The driver holds something for the flow, which a CloseTcp ends.
[[nodiscard]] inline bool has_socket(const TcpState& state) {
  return !is_over(state) && !std::holds_alternative<Deciding>(state);
}

// How far a flow in Relaying is on its way to HandedOver.
enum class HandOverStage : std::uint8_t {
  kNone,
  kWanted,  // Nothing new is sent or offered until all that is under way has arrived.
  kAsked,   // The driver was asked. The flow stands still: its packets wait with the driver.
};

struct TcpFlow {
  explicit TcpFlow(const FlowKey& flow_key) : key(flow_key) {}

  FlowKey key;
  TcpId id;
  TcpState state;
  GuestTcpOptions guest;
  bool inbound = false;
  bool told = false;   // Somebody was told that it begins.
  bool asked = false;  // An AskPolicy waits for its answer.
  // Its window is what its host has room for, and it is never handed over: its host is our DNS
  // (dns_streams.h), not a socket, or its first bytes are kept.
  bool room_only = false;
  policy::Verdict verdict = policy::Verdict::kAccepted;
  NamedBy by{};
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
};

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

}  // namespace sluice::flow
