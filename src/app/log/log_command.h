// `sluice log convert`: the events of a file as other tools have them (formats.h).
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>

#include "app/options/early_exit.h"

namespace sluice::app {

enum class LogTarget : std::uint8_t { kOcsf, kEve, kZeek, kZeekDns, kZeekSsl };

struct LogOptions {
  LogTarget to{};
  std::string file;  // "-": standard input.
};

[[nodiscard]] std::expected<LogOptions, EarlyExit> parse_log_options(
    std::span<const char* const> arguments);

// Returns the exit status.
[[nodiscard]] std::expected<int, EarlyExit> start_log(std::span<const char* const> arguments);

}  // namespace sluice::app
