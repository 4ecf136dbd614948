// What the process gives up when its listeners, logs and the pid file are open, and before its
// workers begin.
#pragma once

#include <expected>
#include <optional>
#include <string>

#include "forward/plan.h"
#include "sandbox/identity.h"

namespace sluice::forward {

// Who it shall be from then on. Nothing: it stays who it is, for it is not root, was told to stay
// root, or there is no such user in this (user) namespace and none was asked for.
// `asked`: of --user; empty: "nobody" in the place of root. The error is one line.
[[nodiscard]] std::expected<std::optional<sandbox::Identity>, std::string> identity_for(
    const std::string& asked);

// `config_file`, unless empty, is read again at a reload: a warning when that will fail.
[[nodiscard]] std::expected<void, std::string> give_up_privileges(
    const std::optional<sandbox::Identity>& identity, const Plan& plan,
    const std::string& config_file);

}  // namespace sluice::forward
