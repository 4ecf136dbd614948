// The file of --events: lines wait in memory until the file takes them, a mebibyte of them at most,
// and what comes then is lost and told (event_queue.h). Not thread-safe.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <string>

#include "base/time.h"
#include "sys/sys_error.h"
#include "telemetry/events/event_queue.h"
#include "telemetry/line_file.h"

namespace sluice::telemetry {

class EventFile {
 public:
  // Appends to `path`, which is made if it is missing, for its owner alone. A FIFO needs a reader.
  [[nodiscard]] static std::expected<EventFile, sys::SysError> open(const std::string& path);
  explicit EventFile(LineFile file) : file_(std::move(file)) {}

  [[nodiscard]] EventQueue& queue() { return queue_; }
  [[nodiscard]] const EventQueue& queue() const { return queue_; }

  // The same from here on with what is at `path` now; fails where the old file does not take what
  // waits.
  [[nodiscard]] std::expected<void, sys::SysError> reopen(const std::string& path);
  // A regular file of root's becomes this user's, who can open it anew.
  void give_to(uid_t uid, gid_t gid) const { file_.give_to(uid, gid); }

  // Writes what the file takes.
  void flush();
  // The same, but not so soon after the last time, unless there is much.
  void flush_if_due(Instant now);
  // When flush_if_due() is wanted next.
  [[nodiscard]] Instant next_flush() const {
    return queue_.empty() ? kNever : last_flush_ + kDelay;
  }

 private:
  static constexpr std::size_t kQueueMax = 1024 * 1024;
  static constexpr std::size_t kFlushSize = 64 * 1024;
  static constexpr Duration kDelay = std::chrono::milliseconds(100);

  LineFile file_;
  EventQueue queue_{kQueueMax};
  Instant last_flush_{};
};

}  // namespace sluice::telemetry
