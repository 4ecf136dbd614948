// `sluice vm`: the network of a virtual machine, whose monitor hands us its frames.
#pragma once

#include <expected>
#include <span>

#include "app/options/early_exit.h"

namespace sluice::app {

// From its words, those after "vm". Blocks until a signal or, with --one-off, the machine ends it.
// Returns the exit status; errors have been printed.
[[nodiscard]] std::expected<int, EarlyExit> start_vm(std::span<const char* const> arguments);

}  // namespace sluice::app
