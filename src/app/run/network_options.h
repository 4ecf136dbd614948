// The guest's network, from the options that describe it.
#pragma once

#include <expected>

#include "app/options/early_exit.h"
#include "app/options/raw_options.h"
#include "flow/core/guest_network.h"

namespace sluice::app {

[[nodiscard]] std::expected<flow::GuestNetwork, Mistake> network_options(const RawOptions& raw);

}  // namespace sluice::app
