// The format: "Trace Event Format" of Chromium's catapult. Times are microseconds; "X" is a slice,
// "i" a moment, "M" a name.
#include <fmt/format.h>

#include <string>

#include "telemetry/json_line.h"
#include "telemetry/trace/trace_export.h"

namespace sluice::telemetry {
namespace {

// One process; its first track is the worker's, the flows follow in the order of their beginning.
constexpr int kProcess = 1;
constexpr std::size_t kWorkerTrack = 0;

// What `a` and `b` are, as members of an object; see trace/trace_event.h.
void put_args(JsonLine& line, const trace::TraceRecord& record) {
  switch (record.event) {
    case trace::TraceEvent::kPollReturned: line.number("events", record.a); return;
    case trace::TraceEvent::kFrameIn:
      line.number("bytes", record.a);
      line.number("flags", record.b);
      return;
    case trace::TraceEvent::kFlowCreated:
      line.number("guest_port", record.a);
      line.number("remote_port", record.b);
      return;
    case trace::TraceEvent::kConnectDone: line.number("error", record.a); return;
    case trace::TraceEvent::kFramesFlushed: line.number("frames", record.a); return;
    case trace::TraceEvent::kBytesToHost:
      line.number("bytes", record.a);
      line.number("spilled", record.b);
      return;
    case trace::TraceEvent::kBytesToGuest:
      line.number("bytes", record.a);
      line.number("fin", record.b);
      return;
    case trace::TraceEvent::kWindowUpdate: line.number("window", record.b - record.a); return;
    case trace::TraceEvent::kRetransmit: line.number("bytes", record.a); return;
    case trace::TraceEvent::kFlowClosed: line.number("outcome", record.a); return;
    case trace::TraceEvent::kConnectIssued:
    case trace::TraceEvent::kFinToHost:
    case trace::TraceEvent::kSynAckQueued: return;
  }
}

class TraceWriter {
 public:
  explicit TraceWriter(std::uint64_t epoch_ns) : epoch_ns_(epoch_ns) {}

  void name_process(std::string_view name) { metadata("process_name", kWorkerTrack, name); }
  void name_track(std::size_t track, std::string_view name) {
    metadata("thread_name", track, name);
    object("M", "thread_sort_index", track, [&](JsonLine& line) {
      line.open_object("args");
      line.number("sort_index", track);
      line.close();
    });
  }
  struct Slice {
    std::uint64_t begin_ns = 0;
    std::uint64_t end_ns = 0;
  };
  // With `put` for what is told of it.
  template <typename Put>
  void slice(std::string_view name, std::size_t track, const Slice& slice, const Put& put) {
    object("X", name, track, [&](JsonLine& line) {
      line.decimal("ts", slice.begin_ns - epoch_ns_, 3);
      line.decimal("dur", slice.end_ns - slice.begin_ns, 3);
      line.open_object("args");
      put(line);
      line.close();
    });
  }
  void moment(std::string_view name, std::size_t track, const trace::TraceRecord& record) {
    object("i", name, track, [&](JsonLine& line) {
      line.text("s", "t");
      line.decimal("ts", record.time_ns - epoch_ns_, 3);
      line.open_object("args");
      put_args(line, record);
      line.close();
    });
  }

  [[nodiscard]] std::string finish(const Trace& trace) {
    out_.append(std::string_view("\n],\"displayTimeUnit\":\"ns\",\"otherData\":"));
    JsonLine line(out_);
    line.text("target", trace.target);
    line.number("overwritten", trace.overwritten);
    line.close();
    out_.append(std::string_view("}\n"));
    return fmt::to_string(out_);
  }

 private:
  // An element of the list: what all have, and what `put` adds.
  template <typename Put>
  void object(std::string_view phase, std::string_view name, std::size_t track, const Put& put) {
    out_.append(std::string_view(first_ ? "{\"traceEvents\":[\n" : ",\n"));
    first_ = false;
    JsonLine line(out_);
    line.text("ph", phase);
    line.text("name", name);
    line.number("pid", kProcess);
    line.number("tid", track);
    put(line);
    line.close();
  }
  void metadata(std::string_view what, std::size_t track, std::string_view name) {
    object("M", what, track, [&](JsonLine& line) {
      line.open_object("args");
      line.text("name", name);
      line.close();
    });
  }

  std::uint64_t epoch_ns_;
  fmt::memory_buffer out_;
  bool first_ = true;
};

void put_cycle(TraceWriter& writer, const TraceCycle& cycle, std::size_t track) {
  writer.name_track(track, fmt::format("flow {} to {}", cycle.guest_port, cycle.remote_port));
  writer.slice(cycle.complete() ? "cycle" : "cycle, not ended", track,
               {cycle.begin_ns(), cycle.end_ns()}, [&](JsonLine& line) {
                 line.number("guest_port", cycle.guest_port);
                 line.number("remote_port", cycle.remote_port);
                 line.number("flow", cycle.flow);
               });
  for (std::size_t i = 0; i < cycle.steps.size(); ++i) {
    const TraceStep& step = cycle.steps[i];
    if (i > 0) {
      const TraceStep& before = cycle.steps[i - 1];
      writer.slice(spent_with(step.kind), track, {before.record.time_ns, step.record.time_ns},
                   [&](JsonLine& line) {
                     line.text("from", to_string(before.kind));
                     line.text("to", to_string(step.kind));
                   });
    }
    writer.moment(to_string(step.kind), track, step.record);
  }
}

}  // namespace

std::string trace_json(const Trace& trace) {
  TraceWriter writer(trace.records.empty() ? 0 : trace.records.front().time_ns);
  writer.name_process("sluice");
  writer.name_track(kWorkerTrack, "worker");
  for (const trace::TraceRecord& record : trace.records) {
    if (record.flow != trace::kNoTraceFlow || record.event == trace::TraceEvent::kFrameIn) continue;
    writer.moment(to_string(record.event), kWorkerTrack, record);
  }
  std::size_t track = kWorkerTrack;
  for (const TraceCycle& cycle : cycles_of(trace.records)) put_cycle(writer, cycle, ++track);
  return writer.finish(trace);
}

}  // namespace sluice::telemetry
