// Called as `oi`: the Rust forwarder's command line and words, with our forwarder behind.
#pragma once

#include <expected>
#include <span>

#include "app/options/early_exit.h"

namespace sluice::app {

// `words` is the whole command line, argv[0] first. Returns the exit status: 0 after SIGINT or
// SIGTERM, 1 when the configuration is wrong.
[[nodiscard]] std::expected<int, EarlyExit> start_oi(std::span<const char* const> words);

}  // namespace sluice::app
