// `sluice ctl`, as it was typed.
#pragma once

#include <expected>
#include <optional>
#include <span>
#include <string>

#include "app/ctl/ctl_answers.h"
#include "app/options/early_exit.h"
#include "control/request.h"

namespace sluice::app {

struct CtlOptions {
  bool list = false;  // No request: which runs there are.
  std::string run;    // Empty: the only one.
  control::Verb verb = control::Verb::kStatus;
  std::string what;                  // A flow, a port, a rule; may be empty.
  std::optional<GivenAnswer> given;  // Of approve and refuse.
  bool answers = false;              // "answer", which is no request: stays, and asks its person.
  bool json = false;
};

[[nodiscard]] std::expected<CtlOptions, EarlyExit> parse_ctl_options(
    std::span<const char* const> arguments);

}  // namespace sluice::app
