// The agent's side: a process in the guest's namespaces. See agent.h.
#pragma once

#include <cstdint>
#include <string>

#include "base/unique_fd.h"

namespace sluice::agent {

struct AgentContext {
  UniqueFd channel;       // The agent's end of GuestAgent::pair().
  std::string interface;  // The tap, which exists and is set up.
  bool ipv4 = true;
  bool ipv6 = true;
};

// Becomes the agent: closes every other descriptor, sets up nftables, rules and routes, says
// AgentReady or AgentMissing, gives up all privileges but those it works with, and serves until the
// channel closes. Never returns. For a process that was just forked and has one thread.
[[noreturn]] void run_guest_agent(AgentContext context);

}  // namespace sluice::agent
