// What is told about a flow when it ends or is refused, and to those who want it, when it begins.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>

#include "base/siphash.h"
#include "base/time.h"
#include "flow/core/flow_key.h"
#include "flow/core/named_by.h"
#include "policy/outcome.h"
#include "policy/verdict.h"

namespace sluice::flow {

struct FlowSummary {
  FlowKey key;
  bool inbound = false;
  policy::Verdict verdict = policy::Verdict::kAccepted;
  policy::Outcome outcome = policy::Outcome::kClosed;
  bool opening = false;      // It begins: nothing is counted yet.
  bool told = false;         // ... which was told; of one that ends.
  bool carried = false;      // The guest's kernel had it in the end.
  bool by_loopback = false;  // ... it has never passed the link: two sockets were joined.
  NamedBy by{};
  // Where it leads, of a flow to an address that stands for a name, once that is known.
  std::optional<wire::Endpoint> target{};
  Instant opened{};
  Instant ended{};
  std::uint64_t bytes_to_host = 0;  // Payload, without headers.
  std::uint64_t bytes_to_guest = 0;
  Duration round_trip{};         // To the host and back, where somebody has asked the kernel.
  std::uint64_t generation = 0;  // Of the policy that `by.rule` is of; whoever passes it on says.
};

// Of a flow that ends, whatever its protocol.
template <typename Flow>
[[nodiscard]] FlowSummary ended_flow(const Flow& flow, policy::Outcome outcome, Instant now) {
  FlowSummary summary{.key = flow.key,
                      .outcome = outcome,
                      .opened = flow.opened,
                      .ended = now,
                      .bytes_to_host = flow.bytes_to_host,
                      .bytes_to_guest = flow.bytes_to_guest};
  if constexpr (requires { flow.inbound; }) summary.inbound = flow.inbound;
  if constexpr (requires { flow.by_loopback; }) summary.by_loopback = flow.by_loopback;
  if constexpr (requires { flow.verdict; }) summary.verdict = flow.verdict;
  if constexpr (requires { flow.leads_to(); }) summary.target = flow.leads_to();
  summary.by = flow.by;
  summary.told = flow.told;
  return summary;
}

// Of a flow that begins, with what it has just heard of the guest.
template <typename Flow>
[[nodiscard]] FlowSummary begun_flow(const Flow& flow) {
  FlowSummary summary = ended_flow(flow, policy::Outcome::kOpen, flow.active);
  summary.opening = true;
  return summary;
}

// Of a flow that was not admitted.
[[nodiscard]] inline FlowSummary refused_flow(const FlowKey& key, policy::Verdict verdict,
                                              const NamedBy& by, Instant now) {
  return {.key = key,
          .verdict = verdict,
          .outcome = policy::Outcome::kNotAccepted,
          .by = by,
          .opened = now,
          .ended = now};
}

// Names the flow among all of a run, so that what is told of it at different times can be joined.
// No secret, and none is needed: nothing is looked up by it alone.
[[nodiscard]] inline std::uint64_t flow_number(const FlowKey& key, Instant opened) {
  std::array<std::uint8_t, 45> bytes{};
  const auto since = static_cast<std::uint64_t>(opened.time_since_epoch().count());
  std::memcpy(bytes.data(), key.guest.address.octets().data(), 16);
  std::memcpy(bytes.data() + 16, key.remote.address.octets().data(), 16);
  std::memcpy(bytes.data() + 32, &key.guest.port.value, 2);
  std::memcpy(bytes.data() + 34, &key.remote.port.value, 2);
  bytes[36] = static_cast<std::uint8_t>(key.protocol);
  std::memcpy(bytes.data() + 37, &since, 8);
  return siphash({}, bytes);
}

}  // namespace sluice::flow
