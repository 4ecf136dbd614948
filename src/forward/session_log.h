// The log of sessions, in one of three formats.
//
// A LogFile is the open file; it is shared by the workers (O_APPEND: each write(2) is whole) and
// swapped at a reload. A SessionLog is one worker's buffer before it: lines are written together,
// when the buffer is full or the worker's turn ends with lines older than kFlushDelay.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <expected>
#include <memory>
#include <string>

#include "base/time.h"
#include "base/unique_fd.h"
#include "forward/plan.h"
#include "forward/session_event.h"
#include "host/sys_error.h"

namespace sluice::forward {

// One line with its newline, at `now`. Pure.
void append_session_line(fmt::memory_buffer& out, LogFormat format, const SessionEvent& event,
                         std::chrono::system_clock::time_point now);

class LogFile {
 public:
  // "-" is standard output. Appends; makes the file with mode 0640.
  [[nodiscard]] static std::expected<std::shared_ptr<LogFile>, host::SysError> open(
      const std::string& path, LogFormat format);
  LogFile(UniqueFd fd, LogFormat format) : fd_(std::move(fd)), format_(format) {}

  [[nodiscard]] LogFormat format() const { return format_; }
  // Whole lines. A full disk loses lines, never a connection; the first loss is told once.
  void write(std::string_view lines);

 private:
  UniqueFd fd_;
  LogFormat format_;
};

class SessionLog {
 public:
  static constexpr Duration kFlushDelay = std::chrono::milliseconds{50};

  // Null: sessions are not logged. What was buffered goes to the old file.
  void set_file(std::shared_ptr<LogFile> file);
  [[nodiscard]] bool enabled() const { return file_ != nullptr; }

  void write(const SessionEvent& event, Instant now);
  // When flush() should be called at the latest; kNever when nothing is buffered.
  [[nodiscard]] Instant flush_at() const { return flush_at_; }
  void flush();

 private:
  std::shared_ptr<LogFile> file_;
  fmt::memory_buffer buffer_;
  Instant flush_at_ = kNever;
};

}  // namespace sluice::forward
