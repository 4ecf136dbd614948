// What is told about a flow when it ends or is refused.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "flow/core/flow_key.h"
#include "policy/outcome.h"
#include "policy/verdict.h"

namespace sluice::flow {

struct FlowSummary {
  FlowKey key;
  bool inbound = false;
  policy::Verdict verdict = policy::Verdict::kAccepted;
  policy::Outcome outcome = policy::Outcome::kClosed;
  Instant opened{};
  Instant ended{};
  std::uint64_t bytes_to_host = 0;  // Payload, without headers.
  std::uint64_t bytes_to_guest = 0;
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
  if constexpr (requires { flow.verdict; }) summary.verdict = flow.verdict;
  return summary;
}

// Of a flow that was not admitted.
[[nodiscard]] inline FlowSummary refused_flow(const FlowKey& key, policy::Verdict verdict,
                                              Instant now) {
  return {.key = key,
          .verdict = verdict,
          .outcome = policy::Outcome::kNotAccepted,
          .opened = now,
          .ended = now};
}

}  // namespace sluice::flow
