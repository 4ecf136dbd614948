#include "telemetry/flow_log.h"

#include <algorithm>
#include <utility>

#include "telemetry/json_line.h"
#include "telemetry/private_file.h"
#include "telemetry/text.h"

namespace sluice::telemetry {
namespace {

constexpr auto kFlushInterval = std::chrono::seconds{1};
constexpr LineFileKind kFlows{.option = "--flow-log: ", .content = "flows", .mode = kPrivateFile};

void append_line(fmt::memory_buffer& out, const FlowRecord& record) {
  JsonLine line(out);
  line.filled("time", [&](fmt::memory_buffer& to) { append_time(to, record.opened); });
  line.text("protocol", policy::to_string(record.protocol));
  line.text("direction", to_string(record.direction));
  line.filled("guest", [&](fmt::memory_buffer& to) { append_address(to, record.guest.address); });
  line.number("guest_port", record.guest.port.value);
  if (record.name.empty()) {
    line.null("name");
  } else {
    line.filled("name", [&](fmt::memory_buffer& to) { append_name(to, record.name); });
  }
  line.filled("address", [&](fmt::memory_buffer& to) { append_address(to, record.peer.address); });
  line.number("port", record.peer.port.value);
  if (record.target) {
    line.filled("target",
                [&](fmt::memory_buffer& to) { append_address(to, record.target->address); });
  }
  line.number("bytes_to_host", record.bytes_to_host);
  line.number("bytes_to_guest", record.bytes_to_guest);
  const Duration duration = std::max(record.duration, Duration{});
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  line.decimal("duration_s", static_cast<std::uint64_t>(micros), 6);
  line.text("verdict", policy::to_string(record.verdict));
  line.text("outcome", policy::to_string(record.outcome));
  line.end_line();
}

}  // namespace

std::expected<FlowLog, sys::SysError> FlowLog::open(const std::string& path) {
  auto file = LineFile::open(path, kFlows);
  if (!file) return std::unexpected(file.error());
  return FlowLog(std::move(*file));
}

FlowLog::FlowLog(UniqueFd fd, std::string path)
    : FlowLog(LineFile(std::move(fd), std::move(path), kFlows)) {}

FlowLog::FlowLog(LineFile file) : file_(std::move(file)) { buffer_.reserve(kFlushSize + kLineMax); }

void FlowLog::write(const FlowRecord& record) {
  if (buffer_.size() > kBufferMax) [[unlikely]] {
    file_.lose(1);
    return;
  }
  if (const auto reason = RefusalRate::reason_of(record)) {
    last_refusal_ =
        record.opened + std::chrono::duration_cast<RefusalRate::Time::duration>(record.duration);
    if (!refusals_.admit(*reason, last_refusal_)) return;
    tell_left_out(*reason, last_refusal_);
  }
  append_line(buffer_, record);
  if (buffer_.size() >= kFlushSize) flush();
}

void FlowLog::tell_left_out(std::size_t reason, RefusalRate::Time now) {
  const std::uint64_t count = refusals_.take_left_out(reason);
  if (count == 0) return;
  JsonLine line(buffer_);
  line.filled("time", [&](fmt::memory_buffer& to) { append_time(to, now); });
  line.number("left_out", count);
  line.text("verdict", policy::to_string(RefusalRate::verdict_of(reason)));
  line.text("outcome", policy::to_string(RefusalRate::outcome_of(reason)));
  line.end_line();
}

void FlowLog::finish() {
  for (std::size_t reason = 0; reason < RefusalRate::kReasons; ++reason) {
    tell_left_out(reason, last_refusal_);
  }
  flush();
}

void FlowLog::flush() {
  const std::size_t done = file_.offer(std::string_view(buffer_.data(), buffer_.size()));
  if (done == 0) return;
  const std::size_t rest = buffer_.size() - done;
  std::copy(buffer_.begin() + done, buffer_.end(), buffer_.begin());
  buffer_.resize(rest);
}

void FlowLog::flush_if_due(Instant now) {
  if (!pending() || now - last_flush_ < kFlushInterval) return;
  last_flush_ = now;
  flush();
}

}  // namespace sluice::telemetry
