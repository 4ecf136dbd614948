#include "netns/files/guest_files_keeper.h"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "sandbox/helper_process.h"
#include "sandbox/seccomp_filter.h"
#include "sys/waypoints.h"

namespace sluice::netns {

void keep_files_covered(std::span<const GuestFile> files, pid_t guest) {
  constexpr std::uint32_t kChanges = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE;
  UniqueFd opened(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!opened.valid()) ::_exit(0);
  const UniqueFd inotify = sandbox::stand_alone(std::move(opened), "sluice-files",
                                                sandbox::seccomp_mode_from_environment());
  const UniqueFd life(static_cast<int>(::syscall(SYS_pidfd_open, guest, 0)));
  if (!life.valid()) ::_exit(0);
  while (true) {
    for (const GuestFile& file : files) {
      for (const std::string& directory : sys::deciding_directories(file.path)) {
        (void)::inotify_add_watch(inotify.get(), directory.c_str(), kChanges);
      }
      // A file that is gone is covered when there is one again.
      if (!is_covered(file)) (void)cover_file(file);
    }
    std::array items{pollfd{.fd = inotify.get(), .events = POLLIN, .revents = 0},
                     pollfd{.fd = life.get(), .events = POLLIN, .revents = 0}};
    (void)::poll(items.data(), items.size(), -1);
    if (items[1].revents != 0) ::_exit(0);
    alignas(inotify_event) std::array<char, 4096> buffer;
    while (::read(inotify.get(), buffer.data(), buffer.size()) > 0) {
    }
  }
}

}  // namespace sluice::netns
