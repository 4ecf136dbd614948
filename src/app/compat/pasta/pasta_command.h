// Called as `pasta`: its command line with our engine behind, started and left behind as Podman,
// Buildah and rootlesskit expect it.
#pragma once

#include <expected>
#include <span>

#include "app/options/early_exit.h"

namespace sluice::app {

// `words` is the whole command line, argv[0] first. Of a command the status is the command's; of a
// namespace that is there, unless it stays in the foreground, 0 once the network is up and the pid
// file is written: the process behind it serves. 1 where we failed.
[[nodiscard]] std::expected<int, EarlyExit> start_pasta(std::span<const char* const> words);

}  // namespace sluice::app
