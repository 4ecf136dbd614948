// Starts a command in namespaces of its own: network and mount always, user when we lack the
// privileges, pid when asked.
//
//   parent                                  child
//   spawn_guest()  ── clone ──────────────▶ unshare, mount files, open the link, configure
//   (own set-up goes on meanwhile)          │
//   await_link()   ◀── link descriptors ────┘ or the error, or warnings on the way
//                                           ├── fork ──▶ the agent, where there is a fast path
//   (start to serve, enter the sandbox)
//   release()      ─── go ────────────────▶ restore signals, exec COMMAND
//
// The child dies when the parent dies before release(), and its namespaces die with it. Call from
// a process with one thread.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "base/unique_fd.h"
#include "netns/child_process.h"
#include "netns/guest_channel.h"
#include "netns/guest_files.h"
#include "netns/guest_namespace.h"
#include "sys/setup_error.h"
#include "sys/signal_fd.h"

namespace sluice::netns {

// Whom the command sees itself as, where it has a user namespace.
enum class GuestUser : std::uint8_t {
  kCaller,  // The user and group that started us, without rights over the namespaces.
  kRoot,    // User and group 0, with every right over them.
};
enum class PidNamespace : std::uint8_t { kShared, kOwn };

// Runs in the child, inside the new network namespace.
using LinkOpener = std::function<std::expected<OpenedLink, sys::SetupError>()>;

struct GuestOptions {
  std::vector<std::string> command = {};  // As for execvp(); at least one.
  InterfacePlan network = {};
  LinkOpener open_link = {};
  std::vector<GuestFile> files = {};     // In the place of the system's.
  std::vector<std::string> hidden = {};  // Folders that the guest finds empty.
  GuestUser user = GuestUser::kCaller;
  PidNamespace pid_namespace = PidNamespace::kShared;
  // How many workers of ours talk to the agent that is left in the guest's namespaces (agent.h);
  // none: there is no agent.
  std::size_t agent_channels = 0;
  // What the command gets back.
  sys::SavedSignals signals = {};
  std::optional<std::uint64_t> descriptor_limit = std::nullopt;
};

// Exit codes of our own, as env(1) and friends have them.
inline constexpr int kExitSetupFailed = 125;
inline constexpr int kExitNotExecutable = 126;
inline constexpr int kExitNotFound = 127;

// A guest that is being set up. Destroying one that was not released kills it and waits for it.
class PendingGuest {
 public:
  PendingGuest(PendingGuest&&) noexcept = default;
  PendingGuest& operator=(PendingGuest&&) = delete;
  ~PendingGuest();

  [[nodiscard]] pid_t pid() const { return pid_; }

  // Blocks until the child has set itself up. Once.
  [[nodiscard]] std::expected<OpenedLink, sys::SetupError> await_link();
  // What could not be had but is not needed; complete after await_link().
  [[nodiscard]] const std::vector<sys::SetupError>& warnings() const { return warnings_; }

  // Our ends of the talks with the agent, which sets itself up meanwhile: AgentReady or
  // AgentMissing comes first by each. Once; as many as GuestOptions::agent_channels.
  [[nodiscard]] std::vector<agent::GuestAgent> take_agents() { return std::move(agents_); }

  // Lets COMMAND start. Once, after await_link().
  [[nodiscard]] std::expected<ChildProcess, sys::SetupError> release() &&;

 private:
  friend std::expected<PendingGuest, sys::SetupError> spawn_guest(const GuestOptions& options);
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
};

[[nodiscard]] std::expected<PendingGuest, sys::SetupError> spawn_guest(const GuestOptions& options);

// Whether spawn_guest() makes a user namespace, as this process lacks the rights to do without.
[[nodiscard]] bool needs_user_namespace();

}  // namespace sluice::netns
