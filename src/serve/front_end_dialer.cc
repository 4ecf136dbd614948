#include "serve/front_end_dialer.h"

#include <poll.h>
#include <seccomp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>
#include <utility>
#include <vector>

#include "sandbox/capabilities.h"
#include "sandbox/seccomp_filter.h"
#include "sys/control_message.h"
#include "sys/unix_socket.h"

namespace sluice::serve {
namespace {

// Between two tries, and before a front-end that has just gone is looked for again.
constexpr int kPauseMs = 250;

constexpr std::array kAllowed = {
    SCMP_SYS(read),      SCMP_SYS(poll),         SCMP_SYS(ppoll),           SCMP_SYS(connect),
    SCMP_SYS(close),     SCMP_SYS(brk),          SCMP_SYS(munmap),          SCMP_SYS(sendmsg),
    SCMP_SYS(futex),     SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall), SCMP_SYS(exit),
    SCMP_SYS(exit_group)};
constexpr std::array kConditional = {
    sandbox::SeccompRule{SCMP_SYS(socket), 0, sandbox::kWholeArgument, AF_UNIX}};

// Whoever asks is still there.
[[nodiscard]] bool pause(const UniqueFd& channel) {
  pollfd hang_up{.fd = channel.get(), .events = 0, .revents = 0};
  return ::poll(&hang_up, 1, kPauseMs) == 0;
}

[[nodiscard]] UniqueFd dial(const UniqueFd& channel, const sys::SocketAddress& address) {
  do {
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (socket.valid() && ::connect(socket.get(), address.get(), address.length) == 0) {
      return socket;
    }
  } while (pause(channel));
  return UniqueFd();
}

[[nodiscard]] bool pass_on(const UniqueFd& channel, const UniqueFd& socket) {
  char byte = 0;
  iovec part{.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(int))> control{};
  sys::ControlWriter writer(control);
  const int fd = socket.get();
  writer.add_descriptors({&fd, 1});
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  writer.attach_to(message);
  return ::sendmsg(channel.get(), &message, MSG_NOSIGNAL) == 1;
}

[[noreturn]] void run_dialer(UniqueFd channel, const sys::SocketAddress& address) {
  const sandbox::SeccompMode mode = sandbox::seccomp_mode_from_environment();
  channel = sandbox::stand_alone(std::move(channel), "sluice-dialer", mode);
  if (!sandbox::drop_privileges()) ::_exit(1);
  const sandbox::SeccompAllowList list{.allowed = kAllowed, .conditional = kConditional};
  if (!sandbox::load_allow_list(mode, list)) ::_exit(1);
  char byte = 0;
  for (bool first = true; ::read(channel.get(), &byte, 1) == 1; first = false) {
    if (!first && !pause(channel)) break;
    const UniqueFd socket = dial(channel, address);
    if (!socket.valid() || !pass_on(channel, socket)) break;
  }
  ::_exit(0);
}

}  // namespace

std::expected<std::unique_ptr<FrontEndDialer>, sys::SetupError> FrontEndDialer::start(
    sys::Kernel& kernel, const std::string& path) {
  const auto address = sys::unix_sockaddr(path);
  if (!address) return std::unexpected(sys::SetupError{path, ENAMETOOLONG, ""});
  auto dialer = sandbox::HelperProcess::start(
      "start a process that connects to the front-end", SOCK_STREAM,
      [&address](UniqueFd channel) { run_dialer(std::move(channel), *address); });
  if (!dialer) return std::unexpected(dialer.error());
  return std::unique_ptr<FrontEndDialer>(new FrontEndDialer(kernel, std::move(*dialer)));
}

void FrontEndDialer::expect() {
  // It is asked for one at a time, so that there is room; where it has died, nobody comes.
  (void)kernel_->send(dialer_.channel(), "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

std::optional<sys::KernelFd> FrontEndDialer::take() {
  char byte = 0;
  iovec part{.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(int))> control;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (kernel_->recvmsg(dialer_.channel(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1) {
    return std::nullopt;
  }
  std::vector<UniqueFd> came = sys::take_descriptors(message);
  if (came.size() != 1) return std::nullopt;
  return sys::KernelFd(*kernel_, came.front().release());
}

}  // namespace sluice::serve
