#include "netns/guest_child.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "agent/agent_process.h"
#include "netns/files/guest_files.h"
#include "netns/files/guest_files_keeper.h"
#include "netns/guest_diagnostics.h"
#include "netns/guest_init.h"
#include "netns/guest_namespace.h"
#include "sys/process_limits.h"

namespace sluice::netns {
namespace {

using Step = std::expected<void, sys::SetupError>;

std::unexpected<sys::SetupError> failed(std::string step, std::string hint = "") {
  return std::unexpected(sys::SetupError{std::move(step), errno, std::move(hint)});
}

Step write_file(const char* path, std::string_view text) {
  const UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
  if (fd.valid() && ::write(fd.get(), text.data(), text.size()) >= 0) return {};
  return failed(std::string("write ") + path);
}

// user_namespaces(7): a process may map its own user and group without privileges, the group
// only after it gave up setgroups(). Mapped to themselves they have every right in the new
// namespace until the command is executed, which then has none: it is as outside, but for its
// network.
Step map_caller(GuestUser user, uid_t uid, gid_t gid) {
  const bool as_root = user == GuestUser::kRoot;
  if (auto done = write_file("/proc/self/setgroups", "deny"); !done) return done;
  const std::string uids = fmt::format("{} {} 1", as_root ? 0 : uid, uid);
  if (auto done = write_file("/proc/self/uid_map", uids); !done) return done;
  return write_file("/proc/self/gid_map", fmt::format("{} {} 1", as_root ? 0 : gid, gid));
}

Step enter_namespaces(const ChildContext& context) {
  if (context.new_user_namespace) {
    if (auto done = map_caller(context.options.user, context.uid, context.gid); !done) return done;
  }
  if (::unshare(CLONE_NEWNET | CLONE_NEWNS) == 0) return {};
  std::string hint;
  if (errno == EPERM) {
    hint = "as root run: sysctl kernel.apparmor_restrict_unprivileged_userns=0 (where it exists)";
  } else if (errno == ENOSPC) {
    hint = "as root raise user.max_net_namespaces and user.max_mnt_namespaces";
  }
  return failed("create network and mount namespaces", hint);
}

void warn(const GuestChannel& channel, const sys::SetupError& error) {
  channel.tell(GuestWarning{error});
}

// A process of ours beside COMMAND, which must not be its child, as it may wait for all that it
// has: its sibling, or a child of its init, which has none. Returns as clone() does.
long clone_beside(const ChildContext& context) {
  const bool beside = context.options.pid_namespace == PidNamespace::kShared;
  const unsigned long flags = static_cast<unsigned long>(SIGCHLD) |
                              (beside ? static_cast<unsigned long>(CLONE_PARENT) : 0UL);
  return ::syscall(SYS_clone, flags, nullptr, nullptr, nullptr, nullptr);
}

void set_up_mounts(const ChildContext& context) {
  const auto warn_of = [&](const Step& done) {
    if (!done) warn(context.channel, done.error());
  };
  // Real root may write to /etc, and must find there what it wrote.
  const EtcView view = context.new_user_namespace ? EtcView::kOverlay : EtcView::kFiles;
  const ShownFiles shown = show_files(context.options.files, view);
  for (const sys::SetupError& missing : shown.missing) warn(context.channel, missing);
  for (const std::string& folder : context.options.hidden) warn_of(hide_folder(folder));
  warn_of(show_own_sys());
  if (context.options.pid_namespace == PidNamespace::kOwn) warn_of(show_own_proc());
  if (shown.one_by_one.empty()) return;
  const pid_t guest = ::getpid();
  if (clone_beside(context) == 0) keep_files_covered(shown.one_by_one, guest);
}

std::expected<OpenedLink, sys::SetupError> set_up(const ChildContext& context) {
  const GuestOptions& options = context.options;
  if (auto done = enter_namespaces(context); !done) return std::unexpected(done.error());
  if (auto done = isolate_mounts(); !done) return std::unexpected(done.error());
  set_up_mounts(context);
  auto link = options.open_link();
  if (!link) return link;
  auto warnings = configure(options.network);
  if (!warnings) return std::unexpected(warnings.error());
  for (const sys::SetupError& warning : *warnings) warn(context.channel, warning);
  if (options.diagnostics) send_diagnostics(context.channel);
  return link;
}

// A guest without an agent is as good, but slower.
void start_agent(const ChildContext& context, std::vector<UniqueFd> channels) {
  if (clone_beside(context) != 0) return;
  const InterfacePlan& network = context.options.network;
  agent::run_guest_agent({.channels = std::move(channels),
                          .interface = network.interface,
                          .ipv4 = network.has(wire::IpFamily::kV4),
                          .ipv6 = network.has(wire::IpFamily::kV6),
                          .hands_over = context.options.agent_hands_over});
}

}  // namespace

void run_guest_child(ChildContext context) {
  // A parent that died before this line is noticed at receive(): its end of the channel is gone.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  {
    auto link = set_up(context);
    if (!link) {
      context.channel.tell(GuestFailed{link.error()});
      ::_exit(kExitSetupFailed);
    }
    if (!context.channel.send(std::move(*link))) ::_exit(kExitSetupFailed);
  }
  if (!context.agent_channels.empty()) start_agent(context, std::move(context.agent_channels));
  const auto go = context.channel.receive();
  if (!go || !std::holds_alternative<GuestGo>(*go)) ::_exit(kExitSetupFailed);
  if (context.options.pid_namespace == PidNamespace::kOwn) {
    run_guest_init(context.options, context.channel, context.new_user_namespace);
  }
  exec_command(context.options, context.channel);
}

void exec_command(const GuestOptions& options, const GuestChannel& channel) {
  std::vector<char*> arguments;
  arguments.reserve(options.command.size() + 1);
  // execvp() does not write to the strings.
  for (const std::string& word : options.command) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  // Without us the command has no network any more. Its init, where it has one, dies with us.
  ::prctl(PR_SET_PDEATHSIG, SIGHUP);
  options.signals.restore();
  if (options.descriptor_limit) (void)sys::set_fd_soft_limit(*options.descriptor_limit);
  // As putenv() keeps it, it does not write to it, either.
  for (const std::string& one : options.environment) ::putenv(const_cast<char*>(one.c_str()));
  ::execvp(arguments.front(), arguments.data());
  const int error = errno;
  channel.tell(GuestFailed{{options.command.front(), error, ""}});
  ::_exit(error == ENOENT ? kExitNotFound : kExitNotExecutable);
}

}  // namespace sluice::netns
