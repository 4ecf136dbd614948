#include "telemetry/trace/trace_cycles.h"

#include <array>
#include <optional>
#include <unordered_map>

#include "base/unreachable.h"

namespace sluice::telemetry {
namespace {

struct KindText {
  std::string_view name;
  std::string_view spent_with;
};

constexpr std::array<KindText, 20> kKindTexts{{
    {"poll_returned (guest)", "waiting for the guest"},
    {"poll_returned (host)", "waiting for the host"},
    {"frame_in SYN", "reading the tap"},
    {"frame_in ACK", "reading the tap"},
    {"frame_in data", "reading the tap"},
    {"frame_in FIN", "reading the tap"},
    {"frame_in RST", "reading the tap"},
    {"flow_created", "policy and flow table"},
    {"connect_issued", "socket() and connect()"},
    {"connect_done", "other events"},
    {"connect_done, failed", "other events"},
    {"syn_ack_queued", "making the SYN-ACK"},
    {"frames_flushed", "writing to the tap"},
    {"bytes_to_host", "sendmsg()"},
    {"fin_to_host", "shutdown()"},
    {"bytes_to_guest", "peeking at the socket"},
    {"bytes_to_guest FIN", "peeking at the socket"},
    {"window_update", "making the ACK"},
    {"retransmit", "finding what was lost"},
    {"flow_closed", "closing the flow"},
}};

// RFC 9293, 3.1
constexpr std::uint32_t kFin = 0x01;
constexpr std::uint32_t kSyn = 0x02;
constexpr std::uint32_t kReset = 0x04;

[[nodiscard]] TraceStepKind kind_of_frame(const trace::TraceRecord& record) {
  if ((record.b & kReset) != 0) return TraceStepKind::kFrameReset;
  if ((record.b & kSyn) != 0) return TraceStepKind::kFrameSyn;
  if ((record.b & kFin) != 0) return TraceStepKind::kFrameFin;
  return record.a != 0 ? TraceStepKind::kFrameData : TraceStepKind::kFrameAck;
}

[[nodiscard]] TraceStepKind kind_of(const trace::TraceRecord& record) {
  switch (record.event) {
    case trace::TraceEvent::kPollReturned: return TraceStepKind::kPollForHost;
    case trace::TraceEvent::kFrameIn: return kind_of_frame(record);
    case trace::TraceEvent::kFlowCreated: return TraceStepKind::kFlowCreated;
    case trace::TraceEvent::kConnectIssued: return TraceStepKind::kConnectIssued;
    case trace::TraceEvent::kConnectDone:
      return record.a == 0 ? TraceStepKind::kConnectDone : TraceStepKind::kConnectFailed;
    case trace::TraceEvent::kSynAckQueued: return TraceStepKind::kSynAckQueued;
    case trace::TraceEvent::kFramesFlushed: return TraceStepKind::kFramesFlushed;
    case trace::TraceEvent::kBytesToHost: return TraceStepKind::kBytesToHost;
    case trace::TraceEvent::kFinToHost: return TraceStepKind::kFinToHost;
    case trace::TraceEvent::kBytesToGuest:
      return record.b == 0 ? TraceStepKind::kBytesToGuest : TraceStepKind::kFinToGuest;
    case trace::TraceEvent::kWindowUpdate: return TraceStepKind::kWindowUpdate;
    case trace::TraceEvent::kRetransmit: return TraceStepKind::kRetransmit;
    case trace::TraceEvent::kFlowClosed: return TraceStepKind::kFlowClosed;
  }
  unreachable("an event of no kind");
}

[[nodiscard]] bool queues_a_frame(trace::TraceEvent event) {
  return event == trace::TraceEvent::kSynAckQueued || event == trace::TraceEvent::kBytesToGuest ||
         event == trace::TraceEvent::kWindowUpdate || event == trace::TraceEvent::kRetransmit;
}

class Cutter {
 public:
  void take(const trace::TraceRecord& record) {
    if (record.event == trace::TraceEvent::kPollReturned) {
      poll_ = record;
    } else if (record.event == trace::TraceEvent::kFramesFlushed) {
      flush(record);
    } else if (record.event == trace::TraceEvent::kFlowCreated) {
      open(record);
    } else {
      step(record);
    }
    if (record.event != trace::TraceEvent::kFrameIn) stranger_.reset();
  }

  [[nodiscard]] std::vector<TraceCycle> finish() { return std::move(cycles_); }

 private:
  struct Open {
    std::size_t cycle = 0;  // Its place in cycles_.
    bool queued = false;    // A frame of this flow waits to be written.
  };

  // The loop's waking up belongs to every flow that it brought something for.
  void add(TraceCycle& cycle, const trace::TraceRecord& record) {
    const bool fresh = cycle.steps.empty();
    if (poll_ && (fresh || poll_->time_ns > cycle.end_ns())) {
      cycle.steps.push_back({record.event == trace::TraceEvent::kFrameIn
                                 ? TraceStepKind::kPollForGuest
                                 : TraceStepKind::kPollForHost,
                             *poll_});
    }
    cycle.steps.push_back({kind_of(record), record});
  }

  void open(const trace::TraceRecord& record) {
    TraceCycle cycle{.flow = record.flow,
                     .guest_port = static_cast<std::uint16_t>(record.a),
                     .remote_port = static_cast<std::uint16_t>(record.b),
                     .steps = {}};
    if (stranger_) add(cycle, *stranger_);
    add(cycle, record);
    open_.insert_or_assign(record.flow, Open{cycles_.size(), false});
    cycles_.push_back(std::move(cycle));
  }

  void step(const trace::TraceRecord& record) {
    const auto found = open_.find(record.flow);
    if (found == open_.end()) {
      // The SYN of a flow that is to come, unless something else follows.
      if (record.event == trace::TraceEvent::kFrameIn) stranger_ = record;
      return;
    }
    Open& flow = found->second;
    add(cycles_[flow.cycle], record);
    flow.queued = flow.queued || queues_a_frame(record.event);
    if (record.event == trace::TraceEvent::kFlowClosed) open_.erase(found);
  }

  void flush(const trace::TraceRecord& record) {
    for (auto& [flow, open] : open_) {
      if (!open.queued) continue;
      open.queued = false;
      add(cycles_[open.cycle], record);
    }
  }

  std::unordered_map<std::uint32_t, Open> open_;
  std::optional<trace::TraceRecord> poll_;
  std::optional<trace::TraceRecord> stranger_;
  std::vector<TraceCycle> cycles_;
};

}  // namespace

std::string_view to_string(TraceStepKind kind) {
  return kKindTexts[static_cast<std::size_t>(kind)].name;
}

std::string_view spent_with(TraceStepKind kind) {
  return kKindTexts[static_cast<std::size_t>(kind)].spent_with;
}

std::vector<TraceCycle> cycles_of(std::span<const trace::TraceRecord> records) {
  Cutter cutter;
  for (const trace::TraceRecord& record : records) cutter.take(record);
  return cutter.finish();
}

}  // namespace sluice::telemetry
