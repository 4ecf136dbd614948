// Process 1 of a pid namespace: starts COMMAND, reaps orphans, passes signals on and ends with
// COMMAND's status. The kernel kills what is left in the namespace when it ends.
#pragma once

#include "netns/guest_channel.h"
#include "netns/namespaces.h"

namespace sluice::netns {

[[noreturn]] void run_guest_init(const GuestOptions& options, const GuestChannel& channel,
                                 bool new_user_namespace);

}  // namespace sluice::netns
