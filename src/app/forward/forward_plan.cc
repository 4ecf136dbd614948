#include "app/forward/forward_plan.h"

#include <utility>

#include "config/rule_checks.h"
#include "telemetry/log.h"

namespace sluice::app {

namespace {

using Loaded = std::expected<config::LoadedPlan, config::ConfigErrors>;

std::expected<forward::Plan, config::ConfigErrors> plan_of(Loaded loaded) {
  if (!loaded) return std::unexpected(std::move(loaded.error()));
  for (const config::ConfigMessage& warning : loaded->warnings) {
    telemetry::log_warn("{}", warning.describe());
  }
  return std::move(loaded->plan);
}

}  // namespace

std::expected<forward::Plan, config::ConfigErrors> load_plan(const std::string& path) {
  return plan_of(config::load_forward_config(path));
}

std::expected<forward::Plan, config::ConfigErrors> plan_of_rules(std::vector<forward::Rule> rules) {
  forward::Plan plan;
  plan.rules = std::move(rules);
  return plan_of(config::finish_plan(std::move(plan), config::Messages("command line")));
}

void log_config_errors(const config::ConfigErrors& errors) {
  for (const config::ConfigMessage& error : errors) telemetry::log_error("{}", error.describe());
}

std::function<std::expected<forward::Plan, std::string>()> plan_reader(
    std::string path, std::function<void(forward::Plan&)> finish) {
  return [path = std::move(path),
          finish = std::move(finish)]() -> std::expected<forward::Plan, std::string> {
    auto plan = load_plan(path);
    if (!plan) {
      std::string text;
      for (const config::ConfigMessage& error : plan.error()) text += error.describe() + '\n';
      return std::unexpected(std::move(text));
    }
    finish(*plan);
    return std::move(*plan);
  };
}

}  // namespace sluice::app
