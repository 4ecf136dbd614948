// Serves a namespace that somebody else has made: a process of ours joins it, opens the link there,
// configures it, leaves an agent where one is wanted, and then waits for the namespace's
// end, which is its own: it ends with status 0 when no process is in it any more and no file of it
// is mounted. Nothing in the namespace is touched but the network.
#pragma once

#include <cstddef>
#include <expected>

#include "netns/attach/target_namespaces.h"
#include "netns/guest_namespace.h"
#include "netns/pending_guest.h"
#include "sys/setup_error.h"

namespace sluice::netns {

struct AttendantOptions {
  const TargetNamespaces& target;
  InterfacePlan network = {};
  LinkOpener open_link = {};
  // See GuestOptions.
  std::size_t agent_channels = 0;
  bool agent_hands_over = true;
  bool diagnostics = false;
  // It ends with its parent alone, whatever becomes of the namespace.
  bool stays = false;
};

[[nodiscard]] std::expected<PendingGuest, sys::SetupError> start_attendant(
    const AttendantOptions& options);

}  // namespace sluice::netns
