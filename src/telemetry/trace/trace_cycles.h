// Cuts the records of a trace into connect cycles: what happened to one TCP flow, from the frame
// that began it to its end, and where the time between went.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "trace/trace_ring.h"

namespace sluice::telemetry {

// A record by what it says, without its numbers, so that steps of different cycles compare.
enum class TraceStepKind : std::uint8_t {
  kPollForGuest,  // The loop woke, and what this flow did next was reading a frame.
  kPollForHost,   // ... or hearing from its host socket, or a timer.
  kFrameSyn,
  kFrameAck,
  kFrameData,
  kFrameFin,
  kFrameReset,
  kFlowCreated,
  kConnectIssued,
  kConnectDone,
  kConnectFailed,
  kSynAckQueued,
  kFramesFlushed,
  kBytesToHost,
  kFinToHost,
  kBytesToGuest,
  kFinToGuest,
  kWindowUpdate,
  kRetransmit,
  kFlowClosed,
};

// "frame_in SYN"
[[nodiscard]] std::string_view to_string(TraceStepKind kind);
// What the time before such a step was spent with.
[[nodiscard]] std::string_view spent_with(TraceStepKind kind);

struct TraceStep {
  TraceStepKind kind{};
  trace::TraceRecord record;
};

struct TraceCycle {
  std::uint32_t flow = 0;
  std::uint16_t guest_port = 0;
  std::uint16_t remote_port = 0;
  std::vector<TraceStep> steps;  // Never empty.

  [[nodiscard]] std::uint64_t begin_ns() const { return steps.front().record.time_ns; }
  [[nodiscard]] std::uint64_t end_ns() const { return steps.back().record.time_ns; }
  [[nodiscard]] std::uint64_t duration_ns() const { return end_ns() - begin_ns(); }
  [[nodiscard]] bool complete() const { return steps.back().kind == TraceStepKind::kFlowClosed; }
};

// In the order in which they began. Flows whose beginning was overwritten are left out.
[[nodiscard]] std::vector<TraceCycle> cycles_of(std::span<const trace::TraceRecord> records);

}  // namespace sluice::telemetry
