// Starts a command in namespaces of its own: network and mount always, user when we lack the
// privileges, pid when asked.
//
//   parent                                  child
//   spawn_guest()  ── clone ──────────────▶ unshare, mount files, open the link, configure
//   (own set-up goes on meanwhile)          │
//   await_link()   ◀── link descriptors ────┘ or the error, or warnings on the way
//                                           ├── fork ──▶ the agent, where one is wanted
//   (start to serve, enter the sandbox)
//   release()      ─── go ────────────────▶ restore signals, exec COMMAND
//
// The child dies when the parent dies before release(), and its namespaces die with it. Call from
// a process with one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "netns/files/guest_files.h"
#include "netns/guest_namespace.h"
#include "netns/pending_guest.h"
#include "sys/setup_error.h"
#include "sys/signal_fd.h"

namespace sluice::netns {

// Whom the command sees itself as, where it has a user namespace.
enum class GuestUser : std::uint8_t {
  kCaller,  // The user and group that started us, without rights over the namespaces.
  kRoot,    // User and group 0, with every right over them.
};
enum class PidNamespace : std::uint8_t { kShared, kOwn };

struct GuestOptions {
  std::vector<std::string> command = {};      // As for execvp(); at least one.
  std::vector<std::string> environment = {};  // NAME=value, besides what we have ourselves.
  InterfacePlan network = {};
  LinkOpener open_link = {};
  std::vector<GuestFile> files = {};     // In the place of the system's.
  std::vector<std::string> hidden = {};  // Folders that the guest finds empty.
  GuestUser user = GuestUser::kCaller;
  PidNamespace pid_namespace = PidNamespace::kShared;
  // How many workers of ours talk to the agent that is left in the guest's namespaces (agent.h);
  // none: there is no agent.
  std::size_t agent_channels = 0;
  bool agent_hands_over = true;  // Else it makes plain sockets only, and says nothing by itself.
  // Whether we want to hear at which ports the guest waits.
  bool diagnostics = false;
  // What the command gets back.
  sys::SavedSignals signals = {};
  std::optional<std::uint64_t> descriptor_limit = std::nullopt;
};

// Exit codes of our own, as env(1) and friends have them.
inline constexpr int kExitSetupFailed = 125;
inline constexpr int kExitNotExecutable = 126;
inline constexpr int kExitNotFound = 127;

[[nodiscard]] std::expected<PendingGuest, sys::SetupError> spawn_guest(const GuestOptions& options);

// Whether spawn_guest() makes a user namespace, as this process lacks the rights to do without.
[[nodiscard]] bool needs_user_namespace();

}  // namespace sluice::netns
