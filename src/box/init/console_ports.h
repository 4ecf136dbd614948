// The console's ports, found by their names: the way to the host.
#pragma once

#include <expected>

#include "base/unique_fd.h"
#include "box/init/step.h"

namespace sluice::box {

// Not blocking: a write that waits for the host would keep a CPU busy (virtio_console).
struct ConsolePorts {
  UniqueFd control;
  UniqueFd stream;
  UniqueFd error;
};

// Waits until they are there and the host has opened its ends.
[[nodiscard]] std::expected<ConsolePorts, sys::SetupError> open_console_ports();

}  // namespace sluice::box
