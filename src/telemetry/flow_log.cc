#include "telemetry/flow_log.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "telemetry/private_file.h"
#include "telemetry/text.h"

namespace sluice::telemetry {
namespace {

constexpr auto kFlushInterval = std::chrono::seconds{1};
constexpr LineFileKind kFlows{.option = "--flow-log: ", .content = "flows", .mode = kPrivateFile};

// A JSON string of a name that has only printable ASCII and backslashes left.
void append_json_name(fmt::memory_buffer& out, std::string_view name) {
  fmt::memory_buffer plain;  // A name of DNS fits into its inline storage.
  append_name(plain, name);
  for (const char c : plain) {
    if (c == '\\') out.push_back('\\');
    out.push_back(c);
  }
}

void append_line(fmt::memory_buffer& out, const FlowRecord& record) {
  const auto text = [&](std::string_view piece) { out.append(piece); };
  text(R"({"time":")");
  append_time(out, record.opened);
  fmt::format_to(std::back_inserter(out), R"(","protocol":"{}","direction":"{}","guest":")",
                 policy::to_string(record.protocol), to_string(record.direction));
  append_address(out, record.guest.address);
  fmt::format_to(std::back_inserter(out), R"(","guest_port":{},"name":)", record.guest.port.value);
  if (record.name.empty()) {
    text("null");
  } else {
    out.push_back('"');
    append_json_name(out, record.name);
    out.push_back('"');
  }
  text(R"(,"address":")");
  append_address(out, record.peer.address);
  const Duration duration = std::max(record.duration, Duration{});
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  fmt::format_to(std::back_inserter(out),
                 R"(","port":{},"bytes_to_host":{},"bytes_to_guest":{},"duration_s":{}.{:06},)"
                 R"("verdict":"{}","outcome":"{}"}})"
                 "\n",
                 record.peer.port.value, record.bytes_to_host, record.bytes_to_guest,
                 micros / 1'000'000, micros % 1'000'000, policy::to_string(record.verdict),
                 policy::to_string(record.outcome));
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
  buffer_.append(std::string_view(R"({"time":")"));
  append_time(buffer_, now);
  fmt::format_to(std::back_inserter(buffer_),
                 R"(","left_out":{},"verdict":"{}","outcome":"{}"}})"
                 "\n",
                 count, policy::to_string(RefusalRate::verdict_of(reason)),
                 policy::to_string(RefusalRate::outcome_of(reason)));
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
