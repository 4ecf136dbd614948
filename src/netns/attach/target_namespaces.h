// Namespaces that somebody else has made and that we are to serve: named, opened, joined.
#pragma once

#include <sys/types.h>

#include <expected>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "sys/setup_error.h"

namespace sluice::netns {

// One of them while it lives: as /proc/PID/ns shows it (namespaces(7)).
struct NamespaceId {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const NamespaceId&, const NamespaceId&) = default;
};

// As a person names them.
struct TargetNames {
  // A process in the namespace, or the files of namespaces: those of `process` where empty.
  std::optional<pid_t> process{};
  std::string network{};
  // Without one it is the one that the network namespace belongs to (ioctl_ns(2)).
  std::string user{};
  bool only_network = false;  // No user namespace is joined.
};

struct TargetNamespaces {
  UniqueFd network;
  UniqueFd user;     // Invalid: there is none to be joined first.
  UniqueFd process;  // The pidfd of the named one; invalid: none was.
  NamespaceId id;    // Of `network`.
};

[[nodiscard]] std::optional<NamespaceId> namespace_of(int fd);

// Refuses what is no network namespace, and our own.
[[nodiscard]] std::expected<TargetNamespaces, sys::SetupError> open_target(
    const TargetNames& names);

// The calling process, which has one thread, is there from now on, with every right over the
// network if it came by a user namespace.
[[nodiscard]] std::expected<void, sys::SetupError> join(const TargetNamespaces& target);

}  // namespace sluice::netns
