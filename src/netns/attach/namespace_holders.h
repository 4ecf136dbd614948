// Who keeps a network namespace alive besides us: processes in it, and mounts of its file. We have
// sockets there, so that the kernel would keep it for our sake.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "netns/attach/target_namespaces.h"

namespace sluice::netns {

// A process in the namespace that is neither `ours` nor a child of it; nothing where there is none
// that we may see. Reads all of /proc.
[[nodiscard]] std::optional<pid_t> find_holder(const NamespaceId& id, pid_t ours,
                                               const std::string& proc = "/proc");
// Whether a process is in the namespace; false where it has ended.
[[nodiscard]] bool is_in(pid_t process, const NamespaceId& id, const std::string& proc = "/proc");
// Whether our mount namespace has a file of it, as 'ip netns add' makes.
[[nodiscard]] bool is_mounted(const NamespaceId& id,
                              const std::string& mounts = "/proc/self/mountinfo");

}  // namespace sluice::netns
