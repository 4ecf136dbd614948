// The agent's side: a process in the guest's namespaces. See agent.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace sluice::agent {

struct AgentContext {
  std::vector<UniqueFd> channels;  // The agent's ends of GuestAgent::pair(), one for each worker.
  std::string interface;           // The tap, which exists and is set up.
  bool ipv4 = true;
  bool ipv6 = true;
  // Else plain sockets are all that can be had: nothing is set up, and no worker is told anything.
  bool hands_over = true;
  // The namespace goes on without us: in the end nothing of ours is left there.
  bool tidies_up = false;
};

// Becomes the agent: closes every other descriptor, sets up nftables, rules and routes, says
// AgentReady or AgentMissing to each worker, gives up all privileges but those it works with, and
// serves until the last channel closes; where something was missing, sockets alone, and without the
// right to change the network. Never returns. For a process that was just forked and has one
// thread.
[[noreturn]] void run_guest_agent(AgentContext context);

}  // namespace sluice::agent
