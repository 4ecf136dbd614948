// A guest's interface as one end of a veth pair, where there is no tap to be had. The other end
// lies in a network namespace that is made for it and has nothing else: no address, no route, no
// neighbour, and no process. Sockets that are opened there keep it; when they are closed, or the
// guest's end is deleted, both ends are gone.
//
//   the guest's namespace            ours, beyond
//   ┌───────────────────┐            ┌──────────────────────┐
//   │ tap0 ─────────────┼────────────┼─ sluice ── sockets ──┼── passed on to the workers
//   └───────────────────┘            └──────────────────────┘
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <string>

#include "netns/guest_channel.h"
#include "sys/setup_error.h"

namespace sluice::netns {

// Opens what its frames come and go by, in the namespace beyond, where the other end is up and has
// this index.
using OpenerBeyond = std::function<std::expected<OpenedLink, sys::SetupError>(std::uint32_t)>;

// Makes a pair whose end in the calling thread's namespace has that name, which comes back there.
// Needs CAP_SYS_ADMIN and CAP_NET_ADMIN. Where it fails, nothing is left, and who called ends.
[[nodiscard]] std::expected<OpenedLink, sys::SetupError> open_by_veth_pair(
    const std::string& interface, const OpenerBeyond& open);

}  // namespace sluice::netns
