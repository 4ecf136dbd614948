// One-line messages to standard error: "sluice run: warning: …".
//
// Not thread-safe in its set-up; each message is one write(2), so lines of several threads or
// processes never mix. docs/adr/0004-logging.md says why it is not a library.
#pragma once

#include <fmt/core.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice::telemetry {

enum class LogLevel : std::uint8_t { kError, kWarn, kInfo, kDebug, kTrace };

[[nodiscard]] std::string_view to_string(LogLevel level);
// "error", "warn" (or "warning"), "info", "debug", "trace".
[[nodiscard]] std::optional<LogLevel> parse_log_level(std::string_view text);

// Before the first call: "sluice", kWarn. `program` must live as long as the process.
void set_log_program(std::string_view program);
void set_log_level(LogLevel level);
// Where messages go instead of standard error; the descriptor stays the caller's.
void set_log_descriptor(int fd);
// That descriptor is a file's, for reading too and with O_APPEND, which shall not grow above so
// many bytes: the older half is given up for what is new. 0, as at first: no bound.
void set_log_bound(std::size_t bytes);

extern LogLevel current_log_level;  // Read by log_enabled() only.
[[nodiscard]] inline bool log_enabled(LogLevel level) { return level <= current_log_level; }

// Cold: formats into a stack buffer and writes. A newline or another control character in the
// message, which a guest may have put there, is printed as \xNN.
[[gnu::cold]] void log_formatted(LogLevel level, fmt::string_view format, fmt::format_args args);

template <typename... Args>
void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (!log_enabled(level)) return;
  log_formatted(level, format, fmt::make_format_args(args...));
}
template <typename... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::kError, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_warn(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::kWarn, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::kInfo, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::kDebug, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_trace(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::kTrace, format, std::forward<Args>(args)...);
}

}  // namespace sluice::telemetry
