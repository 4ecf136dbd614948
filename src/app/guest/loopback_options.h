// What leads between the loopbacks of host and guest: --tcp-ns, --udp-ns and
// --host-lo-to-ns-lo.
#pragma once

#include <expected>

#include "app/guest/namespace_options.h"
#include "app/options/early_exit.h"
#include "app/options/raw_options.h"

namespace sluice::app {

// Into `options.loopback`, `options.follow_host` and `options.call_guest`.
[[nodiscard]] std::expected<void, Mistake> read_loopback_options(const RawOptions& raw,
                                                                 NamespaceOptions& options);

}  // namespace sluice::app
