// How a guest's process lets us hear at which ports the processes of its namespace wait.
#pragma once

#include "netns/guest_channel.h"

namespace sluice::netns {

// Opens the socket in the network namespace of the calling thread and sends it, or a warning.
void send_diagnostics(const GuestChannel& channel);

}  // namespace sluice::netns
