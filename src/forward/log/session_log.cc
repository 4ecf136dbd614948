#include "forward/log/session_log.h"

#include <algorithm>
#include <array>
#include <optional>

namespace sluice::forward {
namespace {

constexpr std::size_t kLineMax = 2048;  // Long names, all escaped, and the numbers.
constexpr telemetry::LineFileKind kSessions{.option = "", .content = "sessions", .mode = 0640};

// Sessions that did not begin, each reason with lines of its own.
constexpr std::array kRefusals{SessionResult::kConnectFailed, SessionResult::kNotAllowed,
                               SessionResult::kDenied, SessionResult::kLimited,
                               SessionResult::kBadProxyHeader};
static_assert(kRefusals.size() <= telemetry::RefusalRate::kReasons);

std::optional<std::size_t> refusal_of(SessionResult result) {
  const auto* const found = std::ranges::find(kRefusals, result);
  if (found == kRefusals.end()) return std::nullopt;
  return static_cast<std::size_t>(found - kRefusals.begin());
}

// Of the clock that never goes back.
telemetry::RefusalRate::Time rate_time(Instant now) {
  return telemetry::RefusalRate::Time(
      std::chrono::duration_cast<telemetry::RefusalRate::Time::duration>(now.time_since_epoch()));
}

}  // namespace

std::expected<std::shared_ptr<LogFile>, sys::SysError> LogFile::open(const std::string& path,
                                                                     LogFormat format) {
  auto file = path == "-" ? telemetry::LineFile::standard_output(kSessions)
                          : telemetry::LineFile::open(path, kSessions);
  if (!file) return std::unexpected(file.error());
  return std::make_shared<LogFile>(std::move(*file), format);
}

LogFile::LogFile(UniqueFd fd, LogFormat format, std::string name)
    : LogFile(telemetry::LineFile(std::move(fd), std::move(name), kSessions), format) {}

void LogFile::write(std::string_view lines) {
  // Held for a write(2) only, by one worker in kFlushDelay: pipes do not keep long writes whole.
  const std::scoped_lock lock(mutex_);
  file_.write(lines);
}

std::uint64_t LogFile::lost() const {
  const std::scoped_lock lock(mutex_);
  return file_.lost();
}

void SessionLog::set_file(std::shared_ptr<LogFile> file) {
  flush();
  file_ = std::move(file);
  if (file_ != nullptr) buffer_.reserve(kFlushSize + kLineMax);
}

void SessionLog::write(const SessionEvent& event, Instant now) {
  if (file_ == nullptr) return;
  if (const auto reason = refusal_of(event.result)) [[unlikely]] {
    if (!refusals_.admit(*reason, rate_time(now))) {
      left_out_at_ = std::min(left_out_at_, now + kLeftOutDelay);
      return;
    }
    tell_left_out(event.result);
  }
  append_session_line(buffer_, file_->format(), event, std::chrono::system_clock::now());
  if (buffer_.size() >= kFlushSize) {
    write_buffer();
  } else if (flush_at_ == kNever) {
    flush_at_ = now + kFlushDelay;
  }
}

void SessionLog::tell_left_out(SessionResult result) {
  const std::uint64_t count = refusals_.take_left_out(refusal_of(result).value_or(0));
  if (count == 0) return;
  append_left_out_line(buffer_, file_->format(), {.result = result, .count = count},
                       std::chrono::system_clock::now());
}

void SessionLog::tell_all_left_out() {
  if (left_out_at_ == kNever) return;
  left_out_at_ = kNever;
  for (const SessionResult result : kRefusals) tell_left_out(result);
}

void SessionLog::on_time(Instant now) {
  if (left_out_at_ <= now) tell_all_left_out();
  write_buffer();
}

void SessionLog::flush() {
  tell_all_left_out();
  write_buffer();
}

void SessionLog::write_buffer() {
  if (buffer_.size() != 0) file_->write(std::string_view(buffer_.data(), buffer_.size()));
  buffer_.clear();
  flush_at_ = kNever;
}

}  // namespace sluice::forward
