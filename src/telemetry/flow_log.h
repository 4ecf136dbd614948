// The flow log: a line of JSON for each flow that ended or was refused.
//
//   {"time":"2026-03-01T12:00:00.123456Z","protocol":"tcp","direction":"out",
//    "guest":"10.0.2.15","guest_port":40000,"name":"example.org","address":"192.0.2.7","port":443,
//    "bytes_to_host":120,"bytes_to_guest":5300,"duration_s":0.250000,
//    "verdict":"accepted","outcome":"closed"}
//
// in one line; "time" is when the flow was opened. Bytes of a name that are not printable ASCII
// are written as \DDD (RFC 1035, 5.1). ICMP has "guest_port" and "port" 0.
//
// Of refusals, and of inbound flows that made room for newer ones, a burst gets lines, and then a
// few a second (refusal_rate.h). What was left out is told by the next line of that reason, or the
// end:
//
//   {"time":"2026-03-01T12:00:09.000000Z","left_out":81000,"verdict":"denied",
//    "outcome":"not accepted"}
//
// Lines gather in a buffer that is allocated once. The file (line_file.h) is never waited for: if
// it is a pipe that nobody reads, up to a mebibyte of lines is kept, and what comes then is lost
// and counted. So are lines that an error loses; the next ones are tried again.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <expected>
#include <string>

#include "base/time.h"
#include "base/unique_fd.h"
#include "sys/sys_error.h"
#include "telemetry/flow_record.h"
#include "telemetry/line_file.h"
#include "telemetry/refusal_rate.h"

namespace sluice::telemetry {

class FlowLog {
 public:
  // Appends to `path`, which is made if it is missing, for its owner alone. A FIFO needs a reader.
  [[nodiscard]] static std::expected<FlowLog, sys::SysError> open(const std::string& path);
  // Writes to a descriptor that is open already. `path` names it in messages.
  FlowLog(UniqueFd fd, std::string path);

  void write(const FlowRecord& record);
  // Writes out what has gathered. Call it when the loop goes idle.
  void flush();
  // The same, but not within a second of the last time. Call it from a busy loop.
  void flush_if_due(Instant now);

  // The last word: tells what was left out since, and flushes.
  void finish();

  [[nodiscard]] bool pending() const { return buffer_.size() != 0; }
  // Lines that were lost because the file did not take them.
  [[nodiscard]] std::uint64_t lost() const { return file_.lost(); }

 private:
  static constexpr std::size_t kFlushSize = 64 * 1024;
  static constexpr std::size_t kLineMax = 2048;  // A name of 255 bytes, all escaped, and the rest.
  static constexpr std::size_t kBufferMax = 1024 * 1024;

  explicit FlowLog(LineFile file);

  void tell_left_out(std::size_t reason, RefusalRate::Time now);

  LineFile file_;
  fmt::memory_buffer buffer_;
  Instant last_flush_{};
  RefusalRate refusals_;
  RefusalRate::Time last_refusal_{};
};

}  // namespace sluice::telemetry
