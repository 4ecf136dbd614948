#include "telemetry/log.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <string>

#include "base/unreachable.h"

namespace sluice::telemetry {
namespace {

std::string_view program = "sluice";
int descriptor = STDERR_FILENO;

std::size_t bound = 0;  // Of the file behind `descriptor`.
std::size_t size = 0;   // Its own, where it has a bound.

// A message that cannot be written is lost: there is nobody left to tell.
void write_whole(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    size += static_cast<std::size_t>(written);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

// What stays is what the last lines of the newer half are.
void make_room(std::size_t coming) {
  if (bound == 0 || size + coming <= bound) return;
  std::string kept(std::min(bound / 2, size), '\0');
  const ssize_t got =
      ::pread(descriptor, kept.data(), kept.size(), static_cast<off_t>(size - kept.size()));
  kept.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  kept.erase(0, kept.find('\n') == std::string::npos ? kept.size() : kept.find('\n') + 1);
  if (::ftruncate(descriptor, 0) != 0) return;
  size = 0;
  write_whole(kept);
}

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
void set_log_bound(std::size_t bytes) {
  bound = bytes;
  const off_t end = ::lseek(descriptor, 0, SEEK_END);
  size = end > 0 ? static_cast<std::size_t>(end) : 0;
}

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

  // The caller's errno stays, as messages are often written between a failed call and the look at
  // why.
  const int saved = errno;
  make_room(line.size());
  write_whole({line.data(), line.size()});
  errno = saved;
}

}  // namespace sluice::telemetry
