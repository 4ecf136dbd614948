// `sluice policy` and `sluice profile`: what a policy says, without a guest.
#pragma once

#include <expected>
#include <span>

#include "app/options/early_exit.h"

namespace sluice::app {

// The exit status: 0; of `test` 1 where the answer is no, of `diff` 1 where they differ. What is
// asked is printed on standard output; a mistake in a policy is an early exit.
[[nodiscard]] std::expected<int, EarlyExit> start_policy(std::span<const char* const> arguments);
[[nodiscard]] std::expected<int, EarlyExit> start_profile(std::span<const char* const> arguments);

}  // namespace sluice::app
