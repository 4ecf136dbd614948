#include "serve/socket_file.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "sandbox/capabilities.h"
#include "sandbox/seccomp_filter.h"

namespace sluice::serve {
namespace {

constexpr std::array kAllowed = {SCMP_SYS(read),
                                 SCMP_SYS(lstat),
                                 SCMP_SYS(newfstatat),
                                 SCMP_SYS(statx),
                                 SCMP_SYS(unlink),
                                 SCMP_SYS(unlinkat),
                                 SCMP_SYS(truncate),
                                 SCMP_SYS(close),
                                 SCMP_SYS(brk),
                                 SCMP_SYS(munmap),
                                 SCMP_SYS(futex),
                                 SCMP_SYS(rt_sigreturn),
                                 SCMP_SYS(restart_syscall),
                                 SCMP_SYS(exit),
                                 SCMP_SYS(exit_group)};
// Whose number a pid file has is read at the end. A file that is opened is not made.
constexpr std::array kConditional = {
    sandbox::SeccompRule{SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY}};

// Where we are root, the directory may be another user's.
constexpr std::array<unsigned, 1> kCapabilities = {CAP_DAC_OVERRIDE};

[[noreturn]] void run_remover(UniqueFd channel, sys::BoundPath& path,
                              std::optional<service::PidFile>& pid_file) {
  const sandbox::SeccompMode mode = sandbox::seccomp_mode_from_environment();
  channel =
      sandbox::stand_alone(std::move(channel), "sluice-socket", mode, sandbox::ParentsEnd::kIsSeen);
  if (!sandbox::drop_privileges_but(kCapabilities)) ::_exit(1);
  if (!sandbox::load_allow_list(mode, {.allowed = kAllowed, .conditional = kConditional})) {
    ::_exit(1);
  }
  char byte = 0;
  while (::read(channel.get(), &byte, 1) < 0 && errno == EINTR) {
  }
  path.remove();
  pid_file.reset();
  ::_exit(0);
}

}  // namespace

std::expected<SocketFile, sys::SetupError> SocketFile::keep(
    sys::BoundPath path, std::optional<service::PidFile> pid_file) {
  if (path.empty() && !pid_file) return SocketFile();
  auto remover = sandbox::HelperProcess::start(
      "start a process for the socket's file", SOCK_STREAM,
      [&](UniqueFd channel) { run_remover(std::move(channel), path, pid_file); });
  if (!remover) return std::unexpected(remover.error());
  path.forget();
  if (pid_file) pid_file->forget();
  return SocketFile(std::move(*remover));
}

}  // namespace sluice::serve
