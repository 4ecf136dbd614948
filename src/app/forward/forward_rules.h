// The rules of a command line: pairs of words, and the options that hold for all of them.
#pragma once

#include <expected>
#include <vector>

#include "app/options/early_exit.h"
#include "app/options/raw_options.h"
#include "forward/plan.h"

namespace sluice::app {

// At least one rule, or a mistake.
[[nodiscard]] std::expected<std::vector<forward::Rule>, Mistake> command_line_rules(
    const RawOptions& raw);

// An option that only such rules understand, which a file cannot have beside it.
[[nodiscard]] std::expected<void, Mistake> refuse_rule_options(const RawOptions& raw);

}  // namespace sluice::app
