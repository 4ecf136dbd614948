// The guest's network, from the options that describe it.
#pragma once

#include <expected>

#include "app/early_exit.h"
#include "app/raw_options.h"
#include "flow/guest_network.h"

namespace sluice::app {

[[nodiscard]] std::expected<flow::GuestNetwork, Mistake> network_options(const RawOptions& raw);

}  // namespace sluice::app
