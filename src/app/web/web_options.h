// Options of `sluice web`.
#pragma once

#include <expected>
#include <span>

#include "app/options/early_exit.h"
#include "wire/address.h"

namespace sluice::app {

struct WebOptions {
  // On loopback; port 0: any that is free.
  wire::Endpoint listen{wire::IpAddress::v4(0x7f00'0001), wire::Port{0}};
};

[[nodiscard]] std::expected<WebOptions, EarlyExit> parse_web_options(
    std::span<const char* const> arguments);

}  // namespace sluice::app
