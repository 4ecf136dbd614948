// A configuration file on its way to the forwarder, with the words for what is wrong with it.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <vector>

#include "config/forward_config.h"
#include "forward/plan.h"

namespace sluice::app {

// In both, warnings have been logged.
[[nodiscard]] std::expected<forward::Plan, config::ConfigErrors> load_plan(const std::string& path);
// Of rules that are each right: whether they go together, too.
[[nodiscard]] std::expected<forward::Plan, config::ConfigErrors> plan_of_rules(
    std::vector<forward::Rule> rules);

// A line for each mistake.
void log_config_errors(const config::ConfigErrors& errors);

// What a running forwarder reads its file with; the error has a line for each mistake.
// `finish` puts what the command line says over what the file says.
[[nodiscard]] std::function<std::expected<forward::Plan, std::string>()> plan_reader(
    std::string path, std::function<void(forward::Plan&)> finish);

}  // namespace sluice::app
