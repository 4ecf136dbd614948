// The files that ssh(1) trusts by their owner. It refuses a file that ssh_config(5) includes unless
// root or the user owns it, and root's files belong to nobody in a user namespace that has no root.
#pragma once

#include <string>
#include <vector>

#include "netns/files/guest_files.h"

namespace sluice::netns {

// Copies of all that `config` includes, of files that root owns and nobody else may write. Others
// stay as they are, and are refused as they would be outside. Call it where root is seen.
[[nodiscard]] std::vector<GuestFile> included_ssh_files(
    const std::string& config = "/etc/ssh/ssh_config");

}  // namespace sluice::netns
