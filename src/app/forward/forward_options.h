// What `sluice forward` was asked to do: every option, checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/options/early_exit.h"
#include "forward/plan.h"
#include "telemetry/log.h"

namespace sluice::app {

enum class CheckFormat : std::uint8_t { kNone, kText, kJson };

// What the command line says about the whole, over what a file says. Nothing: the file's value,
// or the default.
struct PlanOverrides {
  std::optional<relay::Mode> relay;
  std::optional<std::size_t> buffer_size;
  std::optional<std::uint32_t> workers;
  std::optional<Duration> drain_timeout;
  std::optional<std::string> log_file;
  std::optional<forward::LogFormat> log_format;
  std::optional<std::string> pid_file;
  policy::AccessList access;  // In addition to the file's.

  void apply(forward::Plan& plan) const;
};

struct ForwardOptions {
  std::string config_file;           // Empty: the rules below.
  std::vector<forward::Rule> rules;  // Of the command line; empty when there is a file.
  PlanOverrides overrides;
  std::string events_file{};  // Empty: none.
  std::string user{};         // Whom to become; empty: nobody in the place of root.
  CheckFormat check = CheckFormat::kNone;
  bool watch = true;
  bool verbose = false;
  telemetry::LogLevel log_level = telemetry::LogLevel::kWarn;
};

// `arguments` are those after "forward".
[[nodiscard]] std::expected<ForwardOptions, EarlyExit> parse_forward_options(
    std::span<const char* const> arguments);

}  // namespace sluice::app
