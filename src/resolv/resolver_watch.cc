#include "resolv/resolver_watch.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "sandbox/capabilities.h"
#include "sandbox/helper_process.h"
#include "sandbox/seccomp_filter.h"
#include "sys/waypoints.h"

namespace sluice::resolv {
namespace {

// A writer that truncates first is waited for, and a series of changes counts as one.
constexpr int kSettleMs = 30;
// How often to look where the system gives no inotify instance (fs.inotify.max_user_instances).
constexpr int kLookEveryMs = 1000;

constexpr std::uint32_t kChanges = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                                   IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;

// A message begins with a byte of its own, as an empty one would look like the end.
constexpr char kMark = '=';

void send_text(int channel, const std::string& text) {
  char mark = kMark;
  const std::array parts{iovec{.iov_base = &mark, .iov_len = 1},
                         iovec{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()}};
  msghdr header{};
  header.msg_iov = const_cast<iovec*>(parts.data());
  header.msg_iovlen = parts.size();
  // Blocks while the reader has old messages to take, and fails when it is gone: poll() will tell.
  (void)::sendmsg(channel, &header, MSG_NOSIGNAL);
}

void drain(int inotify) {
  alignas(inotify_event) std::array<char, 4096> buffer;
  while (::read(inotify, buffer.data(), buffer.size()) > 0) {
  }
}

[[noreturn]] void run_watcher(UniqueFd channel, const std::string& path) {
  const sandbox::SeccompMode mode = sandbox::seccomp_mode_from_environment();
  channel = sandbox::stand_alone(std::move(channel), "sluice-names", mode);
  if (!sandbox::drop_privileges()) ::_exit(1);
  const UniqueFd inotify(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  std::optional<std::string> sent;
  while (true) {
    bool watching = false;
    for (const std::string& directory : sys::deciding_directories(path)) {
      watching |= ::inotify_add_watch(inotify.get(), directory.c_str(), kChanges) >= 0;
    }
    // The file itself too: one that was mounted here is written by another path.
    (void)::inotify_add_watch(inotify.get(), path.c_str(), IN_CLOSE_WRITE);
    // Read after the watches stand, so that no change falls between.
    std::string text = read_resolv_conf(path).value_or("");
    if (text != sent) {
      send_text(channel.get(), text);
      sent = std::move(text);
    }
    std::array items{pollfd{.fd = channel.get(), .events = POLLIN, .revents = 0},
                     pollfd{.fd = inotify.get(), .events = POLLIN, .revents = 0}};
    (void)::poll(items.data(), items.size(), watching ? -1 : kLookEveryMs);
    if (items[0].revents != 0) ::_exit(0);
    if (items[1].revents != 0) {
      (void)::poll(items.data(), 1, kSettleMs);
      drain(inotify.get());
    }
  }
}

}  // namespace

std::optional<std::string> read_resolv_conf(const std::string& path) {
  // A pipe or a device under this name must not hold us up.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return std::nullopt;
  std::string text;
  std::array<char, 4096> buffer;
  while (text.size() < kResolvConfMax) {
    const std::size_t room = std::min(buffer.size(), kResolvConfMax - text.size());
    const ssize_t got = ::read(fd.get(), buffer.data(), room);
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text;
}

std::expected<UniqueFd, sys::SetupError> watch_resolv_conf(const std::string& path) {
  auto watcher = sandbox::HelperProcess::start(
      "start a process for names", SOCK_SEQPACKET,
      [&path](UniqueFd channel) { run_watcher(std::move(channel), path); });
  if (!watcher) return std::unexpected(watcher.error());
  return std::move(*watcher).release();
}

std::optional<std::string> newest_resolv_conf(int watch) {
  std::optional<std::string> newest;
  std::string buffer(kResolvConfMax + 1, '\0');
  while (true) {
    const ssize_t got = ::recv(watch, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got <= 0) return newest;
    newest = buffer.substr(1, static_cast<std::size_t>(got) - 1);
  }
}

}  // namespace sluice::resolv
