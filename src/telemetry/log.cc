#include "telemetry/log.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <iterator>

#include "base/unreachable.h"

namespace sluice::telemetry {
namespace {

std::string_view program = "sluice";
int descriptor = STDERR_FILENO;

// As compilers write it, for the same reason: people know these words.
std::string_view label(LogLevel level) {
  switch (level) {
    case LogLevel::kError: return "error: ";
    case LogLevel::kWarn: return "warning: ";
    case LogLevel::kInfo: return "";
    case LogLevel::kDebug: return "debug: ";
    case LogLevel::kTrace: return "trace: ";
  }
  unreachable("log level outside its enum");
}

}  // namespace

LogLevel current_log_level = LogLevel::kWarn;

std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::kError: return "error";
    case LogLevel::kWarn: return "warn";
    case LogLevel::kInfo: return "info";
    case LogLevel::kDebug: return "debug";
    case LogLevel::kTrace: return "trace";
  }
  unreachable("log level outside its enum");
}

std::optional<LogLevel> parse_log_level(std::string_view text) {
  if (text == "warning") return LogLevel::kWarn;
  for (const LogLevel level :
       {LogLevel::kError, LogLevel::kWarn, LogLevel::kInfo, LogLevel::kDebug, LogLevel::kTrace}) {
    if (text == to_string(level)) return level;
  }
  return std::nullopt;
}

void set_log_program(std::string_view name) { program = name; }
void set_log_level(LogLevel level) { current_log_level = level; }
void set_log_descriptor(int fd) { descriptor = fd; }

void log_formatted(LogLevel level, fmt::string_view format, fmt::format_args args) {
  fmt::memory_buffer message;
  fmt::vformat_to(std::back_inserter(message), format, args);

  fmt::memory_buffer line;
  fmt::format_to(std::back_inserter(line), "{}: {}", program, label(level));
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(line), "\\x{:02x}", byte);
    } else {
      line.push_back(c);
    }
  }
  line.push_back('\n');

  // A message that cannot be written is lost: there is nobody left to tell. The caller's errno
  // stays, as messages are often written between a failed call and the look at why.
  const int saved = errno;
  std::string_view rest(line.data(), line.size());
  while (!rest.empty()) {
    const ssize_t written = ::write(descriptor, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  errno = saved;
}

}  // namespace sluice::telemetry
