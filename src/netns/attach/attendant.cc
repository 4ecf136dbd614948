#include "netns/attach/attendant.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "agent/agent_process.h"
#include "netns/attach/namespace_holders.h"
#include "netns/guest_diagnostics.h"
#include "sandbox/capabilities.h"
#include "sandbox/helper_process.h"

namespace sluice::netns {
namespace {

constexpr int kExitFailed = 125;
// A process may leave a namespace without ending (setns(2)), of which nobody is told.
constexpr int kLookAgainMs = 2000;

// Waits for whoever holds the namespace, one after another: a process by its descriptor, mounts by
// the kernel's word that they have changed. Nothing is looked through while that one stays.
class EndOfNamespace {
 public:
  // One that goes on `forever` ends with our parent.
  EndOfNamespace(NamespaceId id, pid_t ours, int channel, bool forever)
      : id_(id),
        ours_(ours),
        channel_(channel),
        mounts_(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC)),
        forever_(forever) {}

  // Until nobody holds it, or our parent has gone.
  void await() {
    while (forever_ || holder_.valid() || find() || is_mounted(id_)) {
      if (!wait()) return;
    }
  }

 private:
  bool find() {
    const auto process = find_holder(id_, ours_);
    if (!process) return false;
    process_ = *process;
    holder_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, *process, 0)));
    // Gone in between, perhaps by another of the same number.
    if (!is_in(process_, id_)) holder_.reset();
    return holder_.valid();
  }

  // False: our parent has gone.
  [[nodiscard]] bool wait() {
    std::array<pollfd, 3> watched{pollfd{.fd = channel_, .events = POLLIN, .revents = 0},
                                  pollfd{.fd = holder_.get(), .events = POLLIN, .revents = 0},
                                  pollfd{.fd = mounts_.get(), .events = POLLPRI, .revents = 0}};
    const int ready = ::poll(watched.data(), watched.size(), holder_.valid() ? kLookAgainMs : -1);
    if (watched[0].revents != 0) return false;
    if (watched[1].revents != 0 || (ready == 0 && !is_in(process_, id_))) holder_.reset();
    return true;
  }

  NamespaceId id_;
  pid_t ours_;
  int channel_;
  UniqueFd mounts_;
  bool forever_;
  UniqueFd holder_;
  pid_t process_ = 0;
};

std::expected<OpenedLink, sys::SetupError> set_up(const AttendantOptions& options,
                                                  const GuestChannel& channel) {
  if (auto done = join(options.target); !done) return std::unexpected(done.error());
  // By a new user namespace the wish is forgotten (prctl(2)). A parent that died before this line
  // is noticed at receive().
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  auto link = options.open_link();
  if (!link) return link;
  auto warnings = configure(options.network);
  if (!warnings) return std::unexpected(warnings.error());
  for (const sys::SetupError& warning : *warnings) channel.tell(GuestWarning{warning});
  if (options.diagnostics) send_diagnostics(channel);
  return link;
}

// Our sibling: whoever we are the child of hears of its end.
void start_agent(const AttendantOptions& options, std::vector<UniqueFd> channels) {
  const auto flags = static_cast<unsigned long>(SIGCHLD | CLONE_PARENT);
  if (::syscall(SYS_clone, flags, nullptr, nullptr, nullptr, nullptr) != 0) return;
  const InterfacePlan& network = options.network;
  agent::run_guest_agent({.channels = std::move(channels),
                          .interface = network.interface,
                          .ipv4 = network.has(wire::IpFamily::kV4),
                          .ipv6 = network.has(wire::IpFamily::kV6),
                          .hands_over = options.agent_hands_over,
                          .tidies_up = true});
}

// Where nobody is to be seen it is held by a descriptor alone: whoever has that says when it is
// over. Asked before anybody hears that the namespace is served, who might end it then.
bool has_no_visible_end(const AttendantOptions& options, pid_t ours) {
  if (options.stays) return true;
  if (find_holder(options.target.id, ours) || is_mounted(options.target.id)) return false;
  pollfd named{.fd = options.target.process.get(), .events = POLLIN, .revents = 0};
  return ::poll(&named, 1, 0) <= 0;  // Not where the one that was named has ended meanwhile.
}

[[noreturn]] void run_attendant(const AttendantOptions& options, const GuestChannel& channel,
                                std::vector<UniqueFd> agent_channels) {
  const pid_t parent = ::getppid();
  auto link = set_up(options, channel);
  if (!link) {
    channel.tell(GuestFailed{link.error()});
    ::_exit(kExitFailed);
  }
  const bool forever = has_no_visible_end(options, parent);
  if (!channel.send(std::move(*link))) ::_exit(kExitFailed);
  if (!agent_channels.empty()) start_agent(options, std::move(agent_channels));
  const GuestChannel kept(sandbox::stand_alone(UniqueFd(::dup(channel.fd())), "sluice-attend",
                                               sandbox::seccomp_mode_from_environment()));
  // Of processes of other users it is seen where they are.
  constexpr std::array<unsigned, 1> kCapabilities = {CAP_SYS_PTRACE};
  const auto go = kept.receive();
  if (!go || !std::holds_alternative<GuestGo>(*go)) ::_exit(kExitFailed);
  if (!sandbox::drop_privileges_but(kCapabilities)) ::_exit(kExitFailed);
  // The others are children of our parent, as we are.
  EndOfNamespace(options.target.id, parent, kept.fd(), forever).await();
  ::_exit(0);
}

}  // namespace

std::expected<PendingGuest, sys::SetupError> start_attendant(const AttendantOptions& options) {
  return PendingGuest::start(
      {.agent_channels = options.agent_channels,
       .child = [&](const GuestChannel& channel, std::vector<UniqueFd> agent_channels) {
         run_attendant(options, channel, std::move(agent_channels));
       }});
}

}  // namespace sluice::netns
