// What the supervisor tells people who watch it. Errors and warnings go by telemetry/log.h; these
// are the lines that are printed at any log level, and oi's own words.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string_view>

#include "base/time.h"
#include "forward/plan.h"
#include "forward/supervisor/listener_set.h"
#include "forward/supervisor/supervisor.h"
#include "telemetry/log.h"

namespace sluice::forward {

// One line on standard error, behind the program's name.
template <typename... Args>
void announce(fmt::format_string<Args...> format, Args&&... args) {
  telemetry::log_formatted(telemetry::LogLevel::kInfo, format, fmt::make_format_args(args...));
}

// "1 rule", "3 rules".
[[nodiscard]] std::string counted(std::uint64_t count, std::string_view noun);

// "3 rules, 4 listeners, 2 workers"
[[nodiscard]] std::string summary_of(const Plan& plan, const ListenerSet& listeners,
                                     std::uint32_t workers);

// Everything listens and is served.
void announce_start(const SupervisorOptions& options, const Plan& plan,
                    const ListenerSet& listeners, std::uint32_t workers);
// A signal asks us to end.
void announce_shutdown(OutputStyle output_style, int signal);
// `left` is the time until sessions are cut; nothing: they are never cut.
void announce_draining(OutputStyle output_style, std::uint32_t sessions, Instant now, Instant end);
void announce_end(OutputStyle output_style, bool by_signal);
// Text of several lines, each by itself.
void log_error_lines(std::string_view text);

}  // namespace sluice::forward
