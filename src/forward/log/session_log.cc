#include "forward/log/session_log.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "telemetry/log.h"

namespace sluice::forward {
namespace {

constexpr std::size_t kLineMax = 2048;  // Long names, all escaped, and the numbers.
// A reader of a pipe may be this slow before lines are lost.
constexpr int kReaderPatienceMs = 20;

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

bool is_regular_file(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

// As many whole lines as fit, or a part of the first one if that alone is too long.
std::string_view leading_lines(std::string_view lines, std::size_t size_max) {
  if (lines.size() <= size_max) return lines;
  const std::size_t newline = lines.rfind('\n', size_max - 1);
  return lines.substr(0, newline == std::string_view::npos ? size_max : newline + 1);
}

}  // namespace

std::expected<std::shared_ptr<LogFile>, sys::SysError> LogFile::open(const std::string& path,
                                                                     LogFormat format) {
  // O_NONBLOCK: the open of a FIFO would wait for a reader.
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  UniqueFd fd(path == "-" ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
                          : ::open(path.c_str(), kFlags, 0640));
  if (!fd.valid()) return std::unexpected(sys::last_error(sys::SysOp::kOpen));
  return std::make_shared<LogFile>(std::move(fd), format, path == "-" ? "standard output" : path);
}

LogFile::LogFile(UniqueFd fd, LogFormat format, std::string name)
    : fd_(std::move(fd)),
      format_(format),
      name_(std::move(name)),
      regular_(is_regular_file(fd_.get())) {}

void LogFile::give_to(uid_t uid, gid_t gid) const {
  struct stat status{};
  if (::fstat(fd_.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != 0) return;
  [[maybe_unused]] const int given = ::fchown(fd_.get(), uid, gid);
}

std::uint64_t LogFile::lost() const {
  const std::scoped_lock lock(mutex_);
  return lost_;
}

void LogFile::write(std::string_view lines) {
  // Held for a write(2) only, by one worker in kFlushDelay: pipes do not keep long writes whole.
  const std::scoped_lock lock(mutex_);
  if (torn_) {
    if (write_some("\n") == 0) {
      lose(lines, last_error_);
      return;
    }
    torn_ = false;
  }
  while (!lines.empty()) {
    // A pipe takes PIPE_BUF bytes without waiting when poll(2) says that it is ready.
    const std::string_view piece = leading_lines(lines, regular_ ? lines.size() : PIPE_BUF);
    const std::size_t taken = write_some(piece);
    lines.remove_prefix(taken);
    if (taken < piece.size()) {
      torn_ = taken > 0 && piece[taken - 1] != '\n';
      lose(lines, last_error_);
      return;
    }
  }
  stalled_ = false;
}

std::size_t LogFile::write_some(std::string_view bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    if (!regular_ && !ready_to_take()) {
      last_error_ = EAGAIN;
      break;
    }
    const ssize_t written = ::write(fd_.get(), bytes.data() + done, bytes.size() - done);
    if (written > 0) {
      done += static_cast<std::size_t>(written);
    } else if (written == 0 || errno != EINTR) {
      last_error_ = written == 0 ? ENOSPC : errno;
      break;
    }
  }
  return done;
}

bool LogFile::ready_to_take() const {
  pollfd waiting{.fd = fd_.get(), .events = POLLOUT, .revents = 0};
  const int ready = ::poll(&waiting, 1, stalled_ ? 0 : kReaderPatienceMs);
  // A signal or POLLERR: write(2) says what is the matter.
  return ready != 0;
}

void LogFile::lose(std::string_view lines, int error) {
  stalled_ = true;
  lost_ += static_cast<std::uint64_t>(std::count(lines.begin(), lines.end(), '\n'));
  if (std::exchange(told_, true)) return;
  telemetry::log_error("cannot write sessions to '{}': {}; lines are lost until it can be written",
                       name_, sys::errno_text(error));
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
