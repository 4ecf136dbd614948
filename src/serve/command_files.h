// The files that a command sees in the place of the system's.
#pragma once

#include <string>
#include <vector>

#include "flow/core/guest_network.h"
#include "netns/files/guest_files.h"
#include "policy/egress/egress_policy.h"

namespace sluice::serve {

// /etc/hosts, in which this machine's name is the guest's; a resolv.conf that names our relay,
// where names are relayed, with the options of the host's; and, where the guest has a user
// namespace, the files that ssh would refuse there.
[[nodiscard]] std::vector<netns::GuestFile> command_files(
    const flow::GuestNetwork& network, const std::vector<std::string>& resolver_options);

// That resolv.conf.
[[nodiscard]] std::string resolv_conf_for(const flow::GuestNetwork& network,
                                          const std::vector<std::string>& options);

// What its environment says besides: where it can look up why something was refused.
[[nodiscard]] std::vector<std::string> command_environment(const policy::EgressDraft& policy);

// The options of a guest's resolv.conf, of those of the host's: where names decide, it asks in a
// way in which it can be told why it is refused, and for a name before its search list.
[[nodiscard]] std::vector<std::string> resolver_options_for(const policy::EgressDraft& policy,
                                                            std::vector<std::string> host);

}  // namespace sluice::serve
