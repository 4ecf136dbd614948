#include "telemetry/trace/trace_session.h"

#include <vector>

#include "telemetry/private_file.h"
#include "telemetry/trace/trace_export.h"

namespace sluice::telemetry {

std::expected<TraceSession, sys::SysError> TraceSession::open(const TraceTarget& target,
                                                              const std::string& file) {
  if (file.empty()) return TraceSession(target, File(stderr), false);
  File opened(open_private_file(file));
  if (opened == nullptr) return std::unexpected(sys::last_error(sys::SysOp::kOpen));
  return TraceSession(target, std::move(opened), file.ends_with(".json"));
}

std::expected<void, sys::SetupError> TraceSession::start() {
  ring_ = std::make_unique<trace::TraceRing>();
  const auto started = trace::start_trace(*ring_, target_->events);
  if (started) return {};
  return std::unexpected(
      sys::SetupError{std::string(started.error().what), started.error().error, {}});
}

std::expected<void, sys::SysError> TraceSession::finish() {
  const std::vector<trace::TraceRecord> records = ring_->records();
  const Trace trace{target_->name, records, ring_->overwritten()};
  const std::string text = json_ ? trace_json(trace) : trace_text(trace);
  const bool written = std::fwrite(text.data(), 1, text.size(), file_.get()) == text.size();
  if (!written || std::fflush(file_.get()) != 0) {
    return std::unexpected(sys::last_error(sys::SysOp::kWrite));
  }
  return {};
}

}  // namespace sluice::telemetry
