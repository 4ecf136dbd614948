// A process of ours that sets up a guest's network, inside its namespaces: started, listened to
// until its link is there, and let go. Who that process is and what it becomes its starter says
// (namespaces.h, attendant.h).
//
// The child dies when the parent dies before release(). Call from a process with one thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <expected>
#include <functional>
#include <utility>
#include <vector>

#include "agent/agent.h"
#include "base/unique_fd.h"
#include "netns/child_process.h"
#include "netns/guest_channel.h"
#include "sys/setup_error.h"

namespace sluice::netns {

// Runs inside the guest's network namespace: opens what its frames come and go by.
using LinkOpener = std::function<std::expected<OpenedLink, sys::SetupError>()>;

// A guest that is being set up. Destroying one that was not released kills it and waits for it.
class PendingGuest {
 public:
  // What the child does, with its ends of the channels; it does not return.
  using Child =
      std::function<void(const GuestChannel& channel, std::vector<UniqueFd> agent_channels)>;
  struct Start {
    unsigned long clone_flags = 0;  // Besides those that any child of ours has.
    // How many workers of ours talk to the agent in the guest's namespaces (agent.h).
    std::size_t agent_channels = 0;
    Child child{};
  };
  [[nodiscard]] static std::expected<PendingGuest, sys::SetupError> start(const Start& start);

  PendingGuest(PendingGuest&&) noexcept = default;
  PendingGuest& operator=(PendingGuest&&) = delete;
  ~PendingGuest();

  [[nodiscard]] pid_t pid() const { return pid_; }

  // Blocks until the child has set itself up. Once.
  [[nodiscard]] std::expected<OpenedLink, sys::SetupError> await_link();
  // What could not be had but is not needed; complete after await_link().
  [[nodiscard]] const std::vector<sys::SetupError>& warnings() const { return warnings_; }

  // Our ends of the talks with the agent, which sets itself up meanwhile: where it is to hand over
  // AgentReady or AgentMissing comes first by each. Once; as many as Start::agent_channels.
  [[nodiscard]] std::vector<agent::GuestAgent> take_agents() { return std::move(agents_); }

  // By what its kernel tells which ports are waited at (netlink/listening_ports.h). Invalid where
  // nobody wanted it, or it could not be had, which is among the warnings. Once, after
  // await_link().
  [[nodiscard]] UniqueFd take_diagnostics() { return std::move(diagnostics_); }

  // Lets it go on to what it is for. Once, after await_link().
  [[nodiscard]] std::expected<ChildProcess, sys::SetupError> release() &&;

 private:
  PendingGuest(pid_t pid, UniqueFd pidfd, GuestChannel channel,
               std::vector<agent::GuestAgent> agents)
      : pid_(pid),
        pidfd_(std::move(pidfd)),
        channel_(std::move(channel)),
        agents_(std::move(agents)) {}

  pid_t pid_;
  UniqueFd pidfd_;  // Invalid once released or moved from.
  GuestChannel channel_;
  std::vector<agent::GuestAgent> agents_;
  std::vector<sys::SetupError> warnings_;
  UniqueFd diagnostics_;
};

}  // namespace sluice::netns
