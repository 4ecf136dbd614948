// The format: "Trace Event Format" of Chromium's catapult. Times are microseconds; "X" is a slice,
// "i" a moment, "M" a name. All texts are ours, so nothing needs to be escaped.
#include <fmt/format.h>

#include <iterator>
#include <string>

#include "telemetry/trace/trace_export.h"

namespace sluice::telemetry {
namespace {

// One process; its first track is the worker's, the flows follow in the order of their beginning.
constexpr int kProcess = 1;
constexpr std::size_t kWorkerTrack = 0;

class JsonWriter {
 public:
  explicit JsonWriter(std::uint64_t epoch_ns) : epoch_ns_(epoch_ns) {}

  void name_process(std::string_view name) { metadata("process_name", kWorkerTrack, name); }
  void name_track(std::size_t track, std::string_view name) {
    metadata("thread_name", track, name);
    begin("M", "thread_sort_index", track);
    put(R"(,"args":{{"sort_index":{}}}}})", track);
  }
  // A slice, with the numbers of the event at its end.
  void slice(std::string_view name, std::size_t track, std::uint64_t begin_ns, std::uint64_t end_ns,
             std::string_view args) {
    begin("X", name, track);
    put(R"(,"ts":{:.3f},"dur":{:.3f},"args":{{{}}}}})", since_epoch(begin_ns),
        static_cast<double>(end_ns - begin_ns) / 1000, args);
  }
  void moment(std::string_view name, std::size_t track, std::uint64_t time_ns,
              std::string_view args) {
    begin("i", name, track);
    put(R"(,"s":"t","ts":{:.3f},"args":{{{}}}}})", since_epoch(time_ns), args);
  }

  [[nodiscard]] std::string finish(const Trace& trace) {
    put("\n],\"displayTimeUnit\":\"ns\",\"otherData\":{{\"target\":\"{}\",\"overwritten\":{}}}}}\n",
        trace.target, trace.overwritten);
    return fmt::to_string(out_);
  }

 private:
  template <typename... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
  }
  void begin(std::string_view phase, std::string_view name, std::size_t track) {
    put("{}", first_ ? "{\"traceEvents\":[\n" : ",\n");
    first_ = false;
    put(R"({{"ph":"{}","name":"{}","pid":{},"tid":{})", phase, name, kProcess, track);
  }
  void metadata(std::string_view what, std::size_t track, std::string_view name) {
    begin("M", what, track);
    put(R"(,"args":{{"name":"{}"}}}})", name);
  }
  [[nodiscard]] double since_epoch(std::uint64_t time_ns) const {
    return static_cast<double>(time_ns - epoch_ns_) / 1000;
  }

  std::uint64_t epoch_ns_;
  fmt::memory_buffer out_;
  bool first_ = true;
};

// What `a` and `b` are, as members of an object; see trace/trace_event.h.
[[nodiscard]] std::string args_of(const trace::TraceRecord& record) {
  switch (record.event) {
    case trace::TraceEvent::kPollReturned: return fmt::format(R"("events":{})", record.a);
    case trace::TraceEvent::kFrameIn:
      return fmt::format(R"("bytes":{},"flags":{})", record.a, record.b);
    case trace::TraceEvent::kFlowCreated:
      return fmt::format(R"("guest_port":{},"remote_port":{})", record.a, record.b);
    case trace::TraceEvent::kConnectDone: return fmt::format(R"("error":{})", record.a);
    case trace::TraceEvent::kFramesFlushed: return fmt::format(R"("frames":{})", record.a);
    case trace::TraceEvent::kBytesToHost:
      return fmt::format(R"("bytes":{},"spilled":{})", record.a, record.b);
    case trace::TraceEvent::kBytesToGuest:
      return fmt::format(R"("bytes":{},"fin":{})", record.a, record.b);
    case trace::TraceEvent::kWindowUpdate:
      return fmt::format(R"("window":{})", record.b - record.a);
    case trace::TraceEvent::kRetransmit: return fmt::format(R"("bytes":{})", record.a);
    case trace::TraceEvent::kFlowClosed: return fmt::format(R"("outcome":{})", record.a);
    case trace::TraceEvent::kConnectIssued:
    case trace::TraceEvent::kFinToHost:
    case trace::TraceEvent::kSynAckQueued: return {};
  }
  return {};
}

void put_cycle(JsonWriter& writer, const TraceCycle& cycle, std::size_t track) {
  writer.name_track(track, fmt::format("flow {} to {}", cycle.guest_port, cycle.remote_port));
  writer.slice(cycle.complete() ? "cycle" : "cycle, not ended", track, cycle.begin_ns(),
               cycle.end_ns(),
               fmt::format(R"("guest_port":{},"remote_port":{},"flow":{})", cycle.guest_port,
                           cycle.remote_port, cycle.flow));
  for (std::size_t i = 0; i < cycle.steps.size(); ++i) {
    const TraceStep& step = cycle.steps[i];
    const std::uint64_t end_ns = step.record.time_ns;
    if (i > 0) {
      const std::uint64_t begin_ns = cycle.steps[i - 1].record.time_ns;
      writer.slice(spent_with(step.kind), track, begin_ns, end_ns,
                   fmt::format(R"("from":"{}","to":"{}")", to_string(cycle.steps[i - 1].kind),
                               to_string(step.kind)));
    }
    writer.moment(to_string(step.kind), track, end_ns, args_of(step.record));
  }
}

}  // namespace

std::string trace_json(const Trace& trace) {
  JsonWriter writer(trace.records.empty() ? 0 : trace.records.front().time_ns);
  writer.name_process("sluice");
  writer.name_track(kWorkerTrack, "worker");
  for (const trace::TraceRecord& record : trace.records) {
    if (record.flow != trace::kNoTraceFlow || record.event == trace::TraceEvent::kFrameIn) continue;
    writer.moment(to_string(record.event), kWorkerTrack, record.time_ns, args_of(record));
  }
  std::size_t track = kWorkerTrack;
  for (const TraceCycle& cycle : cycles_of(trace.records)) put_cycle(writer, cycle, ++track);
  return writer.finish(trace);
}

}  // namespace sluice::telemetry
