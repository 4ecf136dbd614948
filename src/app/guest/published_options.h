// Which ports of the host lead to the guest: --publish, --tcp-ports and --udp-ports.
#pragma once

#include <expected>

#include "app/guest/guest_options.h"
#include "app/options/early_exit.h"
#include "app/options/raw_options.h"

namespace sluice::app {

// Into `options.publish` and `options.follow`, in the order of the options' names and then as they
// were given. The families of `options.network` are known.
[[nodiscard]] std::expected<void, Mistake> read_published(const RawOptions& raw,
                                                          GuestOptions& options);

// Of a guest into whose sockets we cannot see: ports that were to follow are a mistake.
[[nodiscard]] std::expected<void, Mistake> check_nothing_follows(const GuestOptions& options);

}  // namespace sluice::app
