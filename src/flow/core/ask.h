// What is asked about a flow that policy does not decide at once, and how that is answered.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/slab.h"
#include "base/time.h"
#include "policy/verdict.h"
#include "wire/ip_protocol.h"

namespace sluice::flow {

// A flow of whatever protocol.
struct FlowId {
  wire::IpProtocol protocol{};
  SlabHandle handle;
  friend bool operator==(const FlowId&, const FlowId&) = default;
};

enum class AskStage : std::uint8_t {
  kNewFlow,     // Before the host hears of it.
  kFirstBytes,  // TCP: both sides are connected, and the host has none of the guest's bytes.
};

// What of a TCP flow is looked at before the host gets it.
enum class Gate : std::uint8_t { kOpen, kFirstBytes };

// The answer. Any refusal says why.
struct Ruling {
  AskStage stage{};  // As asked: an answer to a question of before is none.
  policy::Verdict verdict = policy::Verdict::kAccepted;
  Gate gate = Gate::kOpen;  // With an acceptance of a new flow.
};

// Of which new flows of the guest, among those that policy and limits let through, is asked.
struct AskOptions {
  bool tcp = false;
  bool udp = false;
  Gate gate = Gate::kOpen;  // Of TCP flows that nobody is asked about.
  Duration answer_within = std::chrono::seconds(60);
  Duration first_bytes_within = std::chrono::seconds(10);  // Since the first of them.
  std::size_t flows_max = 1024;                            // That wait at the same time.
};

}  // namespace sluice::flow
