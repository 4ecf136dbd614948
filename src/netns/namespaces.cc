#include "netns/namespaces.h"

#include <linux/capability.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "netns/guest_child.h"

namespace sluice::netns {
namespace {

// Whether this process may make a network and a mount namespace and configure them as it is.
bool has_namespace_privileges() {
  if (::geteuid() != 0) return false;
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  if (::syscall(SYS_capget, &header, data.data()) != 0) return false;
  constexpr std::uint32_t kNeeded = (1U << CAP_SYS_ADMIN) | (1U << CAP_NET_ADMIN);
  return (data[0].effective & kNeeded) == kNeeded;
}

}  // namespace

bool needs_user_namespace() { return !has_namespace_privileges(); }

std::expected<PendingGuest, sys::SetupError> spawn_guest(const GuestOptions& options) {
  const bool new_user_namespace = needs_user_namespace();
  // The network namespace is the child's to make: it costs the most, and takes place while the
  // parent goes on.
  const unsigned long flags =
      (new_user_namespace ? static_cast<unsigned long>(CLONE_NEWUSER) : 0UL) |
      (options.pid_namespace == PidNamespace::kOwn ? static_cast<unsigned long>(CLONE_NEWPID)
                                                   : 0UL);
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  return PendingGuest::start(
      {.clone_flags = flags,
       .agent_channels = options.agent_channels,
       .child = [&](const GuestChannel& channel, std::vector<UniqueFd> agent_channels) {
         run_guest_child({.options = options,
                          .channel = channel,
                          .agent_channels = std::move(agent_channels),
                          .new_user_namespace = new_user_namespace,
                          .uid = uid,
                          .gid = gid});
       }});
}

}  // namespace sluice::netns
