#include "forward/supervisor/announce.h"

#include <fmt/core.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <set>
#include <string>

namespace sluice::forward {
namespace {

// Programs that start oi read its standard output through a pipe and wait for these lines.
void say(std::string_view line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

// As oi writes a place: without a scheme.
[[nodiscard]] std::string bare(const Place& place) {
  const std::string text = to_string(place);
  const std::size_t scheme = text.find("://");
  return scheme == std::string::npos ? text : text.substr(scheme + 3);
}

void say_oi_start(const Plan& plan, const ListenerSet& listeners) {
  std::set<std::size_t> listening;
  for (const auto& [key, listener] : listeners.listeners()) listening.insert(listener.spec.rule);
  say(fmt::format("Loaded {} forwarding rules", plan.rules.size()));
  for (const std::size_t number : listening) {
    const Rule& rule = plan.rules[number];
    say(fmt::format("Starting {} forwarding from {} to {}", rule.listens_udp() ? "UDP" : "TCP",
                    bare(rule.listen), bare(rule.targets.front().place)));
  }
}

void announce_rules(const Plan& plan) {
  for (const Rule& rule : plan.rules) {
    std::string targets;
    for (const Target& target : rule.targets) {
      targets += fmt::format("{}{}", targets.empty() ? "" : ", ", to_string(target.place));
    }
    announce("{} -> {}", to_string(rule.listen), targets);
  }
}

// Which port it became is known to nobody else.
void announce_free_ports(const ListenerSet& listeners) {
  for (const auto& [key, listener] : listeners.listeners()) {
    const ListenerKey& spec = listener.spec;
    const bool is_inet =
        spec.kind == ListenerKind::kAddress || spec.kind == ListenerKind::kEverywhere;
    if (!is_inet || spec.endpoint.port.value != 0) continue;
    announce("listening on {}://{}", policy::to_string(spec.protocol),
             wire::to_string(listener.bound));
  }
}

}  // namespace

std::string counted(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string summary_of(const Plan& plan, const ListenerSet& listeners, std::uint32_t workers) {
  return fmt::format("{}, {}, {}", counted(plan.rules.size(), "rule"),
                     counted(listeners.size(), "listener"), counted(workers, "worker"));
}

void announce_start(const SupervisorOptions& options, const Plan& plan,
                    const ListenerSet& listeners, std::uint32_t workers) {
  switch (options.output_style) {
    case OutputStyle::kOi: say_oi_start(plan, listeners); break;
    case OutputStyle::kRinetd: break;
    case OutputStyle::kSluice:
      announce("forwarding: {}", summary_of(plan, listeners, workers));
      announce_free_ports(listeners);
      break;
  }
  if (options.verbose) announce_rules(plan);
}

void announce_shutdown(OutputStyle output_style, int signal) {
  if (output_style != OutputStyle::kOi) return;
  if (signal == SIGINT) say("Received Ctrl+C, shutting down...");
  say("Shutting down...");
}

void announce_draining(OutputStyle output_style, std::uint32_t sessions, Instant now, Instant end) {
  if (output_style != OutputStyle::kSluice || sessions == 0) return;
  if (end == kNever) {
    announce("draining: {} left", counted(sessions, "session"));
    return;
  }
  const auto left = std::chrono::ceil<std::chrono::seconds>(std::max(end - now, Duration{}));
  announce("draining: {} left, {} s", counted(sessions, "session"), left.count());
}

void announce_end(OutputStyle output_style, bool by_signal) {
  if (output_style == OutputStyle::kOi && by_signal) say("Server shut down successfully");
}

void log_error_lines(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) telemetry::log_error("{}", text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace sluice::forward
