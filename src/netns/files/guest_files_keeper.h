// Mounts over single files, kept where they are: the kernel takes such a mount away, in every mount
// namespace, when somebody renames another file over the one beneath it or removes it.
#pragma once

#include <sys/types.h>

#include <span>

#include "netns/files/guest_files.h"

namespace sluice::netns {

// Becomes a process that covers the files again whenever they lie open, until the process `guest`
// has ended. Never returns. For a process of the guest's mount namespace that was just forked and
// has the right to mount.
[[noreturn]] void keep_files_covered(std::span<const GuestFile> files, pid_t guest);

}  // namespace sluice::netns
