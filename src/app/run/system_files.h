// The files that a guest sees in the place of the system's, beside its resolv.conf.
#pragma once

#include <vector>

#include "flow/core/guest_network.h"
#include "netns/guest_files.h"

namespace sluice::app {

// /etc/hosts, in which this machine's name is the guest's, and, where the guest has a user
// namespace, the files that ssh would refuse there.
[[nodiscard]] std::vector<netns::GuestFile> system_files(const flow::GuestNetwork& network);

}  // namespace sluice::app
