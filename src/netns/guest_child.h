// The child's side of spawn_guest(): from a bare clone to COMMAND. Never returns.
#pragma once

#include <vector>

#include "base/unique_fd.h"
#include "netns/guest_channel.h"
#include "netns/namespaces.h"

namespace sluice::netns {

struct ChildContext {
  const GuestOptions& options;
  const GuestChannel& channel;
  std::vector<UniqueFd> agent_channels;  // The agent's ends; none when there is to be no agent.
  bool new_user_namespace = false;
  // Ours before the clone: what a new user namespace maps.
  uid_t uid = 0;
  gid_t gid = 0;
};

// Sets up the guest around the calling process and becomes COMMAND, or, in a pid namespace of
// its own, the init that runs it.
[[noreturn]] void run_guest_child(ChildContext context);

// Becomes COMMAND. When that fails says so over the channel and exits as env(1) does.
[[noreturn]] void exec_command(const GuestOptions& options, const GuestChannel& channel);

}  // namespace sluice::netns
