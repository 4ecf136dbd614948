// What a file server sees: a directory with all that is mounted below it, in a mount namespace of
// its own. Where it is not to be written, no mount of it can be, and nothing outside of it ever,
// whatever the server does. Called in the server's process, before it executes its program.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "sys/setup_error.h"

namespace sluice::box {

enum class TreeAccess : std::uint8_t { kReadOnly, kWritable };

// A directory of the host's, for a guest.
struct SharedTree {
  std::string directory = "/";  // Absolute.
  TreeAccess access = TreeAccess::kReadOnly;
  // Folders of the host's that the guest finds empty, wherever they lie; absolute.
  std::vector<std::string> hidden = {};
};

// Leaves the namespaces of our process: mounts, network, IPC, and, without the right to that, the
// user namespace too, in which the caller's user and group have their own numbers. What comes to be
// mounted on the host later is not seen here.
[[nodiscard]] std::expected<void, sys::SetupError> enter_own_namespaces();

// Mounts the directory with all that is below over some other one, whose name is returned; of the
// rest nothing can be written any more. File systems of the kernel's own in it (proc, sysfs,
// devices) are left empty: they tell of processes and hardware, and are not files to share.
[[nodiscard]] std::expected<std::string, sys::SetupError> mount_tree(const SharedTree& tree);

// Mount points below `directory` that are to be left empty, relative to it ("proc", "sys"), outer
// ones first, by the text of /proc/self/mountinfo (proc(5)).
[[nodiscard]] std::vector<std::string> hidden_mounts(std::string_view mountinfo,
                                                     std::string_view directory);

}  // namespace sluice::box
