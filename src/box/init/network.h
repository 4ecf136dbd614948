// The guest's network: loopback up, the device with its name, queues, addresses and routes.
#pragma once

#include <expected>
#include <vector>

#include "box/guest/control_message.h"
#include "box/init/step.h"

namespace sluice::box {

// Returns what would be good to have and was refused. Needs /proc and /sys. A setup without
// addresses needs no device.
[[nodiscard]] std::expected<std::vector<sys::SetupError>, sys::SetupError> set_up_network(
    const NetworkSetup& network, bool as_root);

}  // namespace sluice::box
