// Called as `slirp4netns`: its command line with our engine behind.
#pragma once

#include <expected>
#include <span>

#include "app/options/early_exit.h"

namespace sluice::app {

// `words` is the whole command line, argv[0] first. Blocks until --exit-fd is closed, the namespace
// has ended, or a signal says so. Returns 0, or 1 where something failed.
[[nodiscard]] std::expected<int, EarlyExit> start_slirp4netns(std::span<const char* const> words);

}  // namespace sluice::app
