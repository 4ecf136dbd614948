// Who asked the agent for plain sockets of the guest's network, and is told what came of it.
#pragma once

#include "agent/agent.h"
#include "flow/core/action.h"

namespace sluice::driver {

class GuestSocketTaker {
 public:
  virtual void on_guest_sockets(agent::AgentSockets answer, flow::Turn turn) = 0;
  // Nothing that was asked for will come.
  virtual void on_agent_gone(flow::Turn turn) = 0;

 protected:
  ~GuestSocketTaker() = default;
};

}  // namespace sluice::driver
