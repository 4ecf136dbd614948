// --log-level and --verbose, which every command has.
#pragma once

#include <expected>

#include "app/options/early_exit.h"
#include "app/options/raw_options.h"
#include "telemetry/log.h"

namespace sluice::app {

// --log-level wins over --verbose; without either, kWarn.
[[nodiscard]] inline std::expected<telemetry::LogLevel, Mistake> log_level_option(
    const RawOptions& raw) {
  auto level =
      raw.has(OptionId::kVerbose) ? telemetry::LogLevel::kInfo : telemetry::LogLevel::kWarn;
  for (const std::string& text : raw.all(OptionId::kLogLevel)) {
    const auto named = telemetry::parse_log_level(text);
    if (!named) {
      return fail("--log-level: '{}' is not a level; expected error, warn, info, debug or trace",
                  text);
    }
    level = *named;
  }
  return level;
}

}  // namespace sluice::app
