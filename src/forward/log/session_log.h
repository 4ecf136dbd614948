// The log of sessions, in one of three formats. One line when a session began, one when it ended;
// a single one when it did not begin. "->" is a tab:
//
//   rinetd  21/Nov/2026:15:03:06
//   ->192.0.2.7->0.0.0.0->8080->10.0.0.2->80->5->10->done-remote-closed
//           time (a space ends it, as rinetd's does), client, listening host and port, target host
//           and port, bytes from the client, bytes to the client, result
//   common  192.0.2.7 - - [21/Nov/2026:15:03:06  +0000]
//           "GET /rinetd-services/0.0.0.0/8080/10.0.0.2/80/done-remote-closed HTTP/1.0"
//           200 10 - - - 5
//           on one line; bytes to the client come first
//   json    {"time":"2026-11-21T15:03:06.123456Z","rule":"web","client":"192.0.2.7:40000",
//           "listen":"0.0.0.0:8080","target":"10.0.0.2:80","protocol":"tcp","event":"ended",
//           "result":"client-closed","bytes_from_client":5,"bytes_to_client":10,
//           "duration_ms":1.250,"error":null}
//           on one line; "event" is "opened", "ended" or "refused"; "client" and "target" are null
//           when there is no address or none was chosen; "error" is a text
//
// rinetd's times are local ones, JSON's are UTC. What has no rinetd name is told as done-timeout,
// done-stopped, limited and bad-proxy-header. The two older formats write "-" for an unknown
// client or target and "*" for a listener on every address.
// A byte that would break a line is written \xNN in rinetd's form, %NN in the common one.
//
// Refusals may come by the hundred thousand. Each reason has so many lines (RefusalRate) in a
// worker; the others are counted, and told in a line of their own: its result is "123-more-denied",
// in JSON it has "left_out":123 and nothing of a client, a listener or a target.
//
// A LogFile is the open file; it is shared by the workers and swapped at a reload. A SessionLog is
// one worker's buffer before it: lines are written together, when the buffer is full or the
// worker's turn ends with lines older than kFlushDelay.
#pragma once

#include <fmt/format.h>
#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "base/time.h"
#include "base/unique_fd.h"
#include "forward/log/session_event.h"
#include "forward/plan.h"
#include "sys/sys_error.h"
#include "telemetry/line_file.h"
#include "telemetry/refusal_rate.h"

namespace sluice::forward {

// One line with its newline, at `now`. Pure.
void append_session_line(fmt::memory_buffer& out, LogFormat format, const SessionEvent& event,
                         std::chrono::system_clock::time_point now);

// So many refusals with this result had no line.
struct LeftOut {
  SessionResult result{};
  std::uint64_t count = 0;
};
void append_left_out_line(fmt::memory_buffer& out, LogFormat format, const LeftOut& left_out,
                          std::chrono::system_clock::time_point now);

class LogFile {
 public:
  // "-" is standard output. Appends; makes the file with mode 0640. A FIFO needs a reader (ENXIO).
  [[nodiscard]] static std::expected<std::shared_ptr<LogFile>, sys::SysError> open(
      const std::string& path, LogFormat format);
  LogFile(telemetry::LineFile file, LogFormat format) : format_(format), file_(std::move(file)) {}
  // `name` is for messages.
  LogFile(UniqueFd fd, LogFormat format, std::string name = "the session log");

  [[nodiscard]] LogFormat format() const { return format_; }
  // Whole lines. A full disk or a pipe that nobody reads loses lines, never a connection
  // (line_file.h). From any thread.
  void write(std::string_view lines);
  // A regular file of root's becomes this user's, who can open it anew at a reload.
  void give_to(uid_t uid, gid_t gid) const { file_.give_to(uid, gid); }
  // Lines that were lost so far.
  [[nodiscard]] std::uint64_t lost() const;

 private:
  LogFormat format_;
  mutable std::mutex mutex_;
  telemetry::LineFile file_;
};

class SessionLog {
 public:
  static constexpr Duration kFlushDelay = std::chrono::milliseconds{50};
  static constexpr std::size_t kFlushSize = 32 * 1024;  // Bytes of a full buffer.
  // Refusals without a line are told as late as this, if no other refusal tells of them before.
  static constexpr Duration kLeftOutDelay = std::chrono::seconds{1};

  SessionLog() = default;
  SessionLog(const SessionLog&) = delete;
  SessionLog& operator=(const SessionLog&) = delete;
  ~SessionLog() { flush(); }

  // Null: sessions are not logged. What was buffered goes to the old file.
  void set_file(std::shared_ptr<LogFile> file);
  [[nodiscard]] bool enabled() const { return file_ != nullptr; }

  void write(const SessionEvent& event, Instant now);
  // When on_time() should be called at the latest; kNever when nothing waits.
  [[nodiscard]] Instant flush_at() const { return std::min(flush_at_, left_out_at_); }
  void on_time(Instant now);
  // Everything, at once.
  void flush();

 private:
  void tell_left_out(SessionResult result);
  void tell_all_left_out();
  void write_buffer();

  std::shared_ptr<LogFile> file_;
  telemetry::RefusalRate refusals_;
  Instant left_out_at_ = kNever;  // When those that were left out are told.
  fmt::memory_buffer buffer_;
  Instant flush_at_ = kNever;
};

}  // namespace sluice::forward
