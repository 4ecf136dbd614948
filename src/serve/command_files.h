// The files that a command sees in the place of the system's.
#pragma once

#include <string>
#include <vector>

#include "flow/core/guest_network.h"
#include "netns/guest_files.h"

namespace sluice::serve {

// /etc/hosts, in which this machine's name is the guest's; a resolv.conf that names our relay,
// where names are relayed, with the options of the host's; and, where the guest has a user
// namespace, the files that ssh would refuse there.
[[nodiscard]] std::vector<netns::GuestFile> command_files(
    const flow::GuestNetwork& network, const std::vector<std::string>& resolver_options);

// That resolv.conf.
[[nodiscard]] std::string resolv_conf_for(const flow::GuestNetwork& network,
                                          const std::vector<std::string>& options);

}  // namespace sluice::serve
