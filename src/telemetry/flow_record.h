// What is told about one flow when it ends or is refused: to the report, to the flow log and to the
// event stream, which hears of it when it begins, too.
//
// The driver makes it, as it has the wall clock. It borrows the name for the time of the call.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/time.h"
#include "base/unreachable.h"
#include "policy/outcome.h"
#include "policy/protocol.h"
#include "policy/verdict.h"
#include "wire/address.h"

namespace sluice::telemetry {

enum class FlowDirection : std::uint8_t { kOutbound, kInbound };

// Who moves its bytes: we, frame by frame, or the guest's kernel; or we, from socket to socket.
enum class FlowPath : std::uint8_t { kTap, kKernel, kRelay };

// What more there is to a flow that a forwarder leads on. To it the client is the peer of an
// inbound flow, and the target stands where the guest does.
struct ForwardedFlow {
  std::string_view listen;  // Where the client came to: "tcp://127.0.0.1:8080".
  std::string_view target;  // Where it is led, as configured; empty: no target was chosen.
  bool connecting = false;  // It has no target that answered yet.
};

struct FlowRecord {
  policy::Protocol protocol = policy::Protocol::kTcp;
  FlowDirection direction = FlowDirection::kOutbound;
  wire::Endpoint guest;
  // The other end. Outbound: the target as the guest asked for it, before any mapping. Inbound:
  // the client that called. ICMP has no ports: the identifier of the echo is not one.
  wire::Endpoint peer;
  // Where it leads, if the guest went to an address that stands for a name.
  std::optional<wire::Endpoint> target{};
  // What the guest asked our DNS to learn the address; may be empty. Any bytes: a guest chose it.
  std::string_view name;
  std::chrono::system_clock::time_point opened;
  Duration duration{};
  std::uint64_t bytes_to_host = 0;  // Payload, without headers.
  std::uint64_t bytes_to_guest = 0;
  Duration round_trip{};  // To the host and back, of one that lives; zero: not known.
  policy::Verdict verdict = policy::Verdict::kAccepted;
  policy::Outcome outcome = policy::Outcome::kClosed;
  std::uint64_t number = 0;  // Names it among all of the run.
  bool opening = false;      // It begins: nothing is counted yet.
  bool told = false;         // ... which was told; of one that ends.
  FlowPath path = FlowPath::kTap;
  std::string_view name_source = "dns";  // From where the name is known, if there is one.
  std::string_view rule;                 // Its id. Empty: none decided.
  std::uint64_t generation = 0;          // Of the policy.
  // Where refusals are only noted: why it would have been refused.
  policy::Verdict would_refuse = policy::Verdict::kAccepted;
  // Of a forwarder's; null: of a guest's. `guest` is unspecified where the target's address is not
  // part of the configuration.
  const ForwardedFlow* forwarded = nullptr;
};

[[nodiscard]] inline std::string_view to_string(FlowDirection direction) {
  return direction == FlowDirection::kOutbound ? "out" : "in";
}
[[nodiscard]] inline std::string_view to_string(FlowPath path) {
  switch (path) {
    case FlowPath::kTap: return "tap";
    case FlowPath::kKernel: return "kernel";
    case FlowPath::kRelay: return "relay";
  }
  unreachable("path outside its enum");
}

}  // namespace sluice::telemetry
