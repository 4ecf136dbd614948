#include "app/forward_plan.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "control/rule_checks.h"
#include "telemetry/log.h"

namespace sluice::app {

namespace {

using Loaded = std::expected<control::LoadedPlan, control::ConfigErrors>;

std::expected<forward::Plan, control::ConfigErrors> plan_of(Loaded loaded) {
  if (!loaded) return std::unexpected(std::move(loaded.error()));
  for (const control::ConfigMessage& warning : loaded->warnings) {
    telemetry::log_warn("{}", warning.describe());
  }
  return std::move(loaded->plan);
}

}  // namespace

std::expected<forward::Plan, control::ConfigErrors> load_plan(const std::string& path) {
  return plan_of(control::load_forward_config(path));
}

std::expected<forward::Plan, control::ConfigErrors> plan_of_rules(
    std::vector<forward::Rule> rules) {
  forward::Plan plan;
  plan.rules = std::move(rules);
  return plan_of(control::finish_plan(std::move(plan), control::Messages("command line")));
}

void log_config_errors(const control::ConfigErrors& errors) {
  for (const control::ConfigMessage& error : errors) telemetry::log_error("{}", error.describe());
}

std::function<std::expected<forward::Plan, std::string>()> plan_reader(
    std::string path, std::function<void(forward::Plan&)> finish) {
  return [path = std::move(path),
          finish = std::move(finish)]() -> std::expected<forward::Plan, std::string> {
    auto plan = load_plan(path);
    if (!plan) {
      std::string text = plan.error().front().describe();
      if (plan.error().size() > 1) {
        text += fmt::format(" (and {} more; 'sluice forward --check -c {}' lists them)",
                            plan.error().size() - 1, path);
      }
      return std::unexpected(std::move(text));
    }
    finish(*plan);
    return std::move(*plan);
  };
}

std::string absolute_path(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute.string();
}

}  // namespace sluice::app
