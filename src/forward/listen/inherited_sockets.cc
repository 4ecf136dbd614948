#include "forward/listen/inherited_sockets.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <utility>

#include "base/unreachable.h"
#include "forward/listen/upgrade.h"
#include "service/systemd_library.h"
#include "sys/sockaddr.h"
#include "sys/socket_options.h"

namespace sluice::forward {
namespace {

[[nodiscard]] bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

[[nodiscard]] bool is_socket(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

// Non-blocking and close-on-exec, which whoever opened it may not have thought of.
[[nodiscard]] sys::KernelFd adopt(sys::Kernel& kernel, int fd) {
  kernel.fcntl_int(fd, F_SETFD, FD_CLOEXEC);
  kernel.fcntl_int(fd, F_SETFL, kernel.fcntl_int(fd, F_GETFL, 0) | O_NONBLOCK);
  return sys::KernelFd(kernel, fd);
}

[[nodiscard]] bool has(const sys::KernelFd& socket, int option, int value) {
  const auto got = sys::get_option(socket, SOL_SOCKET, option);
  return got && *got == value;
}

[[nodiscard]] bool is_bound_to_path(const sys::KernelFd& socket, const std::string& path) {
  sys::SocketAddress address;
  if (socket.kernel().getsockname(socket.get(), address.get(), &address.length) != 0) return false;
  const auto* name = reinterpret_cast<const sockaddr_un*>(&address.storage);
  constexpr socklen_t kStart = offsetof(sockaddr_un, sun_path);
  if (address.storage.ss_family != AF_UNIX || address.length <= kStart) return false;
  std::string bound(name->sun_path, address.length - kStart);
  if (bound.front() == '\0') {
    bound.front() = '@';
  } else {
    bound.resize(std::min(bound.size(), bound.find('\0')));
  }
  return bound == path;
}

[[nodiscard]] bool is_bound_to(const sys::KernelFd& socket, const ListenerKey& spec) {
  sys::SocketAddress name;
  if (socket.kernel().getsockname(socket.get(), name.get(), &name.length) != 0) return false;
  const auto bound = sys::from_sockaddr(name.storage, name.length);
  if (!bound || sys::scope_id_of(name.storage) != spec.scope_id) return false;
  const wire::Port wanted = spec.endpoint.port;
  if (wanted.value != 0 && bound->port != wanted) return false;
  if (spec.kind == ListenerKind::kEverywhere) return bound->address.is_unspecified();
  return bound->address == spec.endpoint.address;
}

[[nodiscard]] std::optional<std::string> read_all(int fd) {
  std::string text;
  char block[4096];
  for (;;) {
    const ssize_t got = ::pread(fd, block, sizeof block, static_cast<off_t>(text.size()));
    if (got < 0) return std::nullopt;
    if (got == 0) return text;
    text.append(block, static_cast<std::size_t>(got));
  }
}

}  // namespace

bool is_listener(const sys::KernelFd& socket, const ListenerKey& spec) {
  if (!is_socket(socket.get())) return false;
  const bool udp = spec.protocol == policy::Protocol::kUdp;
  if (!has(socket, SO_TYPE, udp ? SOCK_DGRAM : SOCK_STREAM)) return false;
  if (!udp && !has(socket, SO_ACCEPTCONN, 1)) return false;
  switch (spec.kind) {
    case ListenerKind::kActivated: return true;
    case ListenerKind::kUnix: return is_bound_to_path(socket, spec.path);
    case ListenerKind::kAddress:
    case ListenerKind::kEverywhere: return is_bound_to(socket, spec);
  }
  unreachable("listener kind outside its enum");
}

std::expected<InheritedSockets, std::string> InheritedSockets::take(sys::Kernel& kernel) {
  InheritedSockets sockets(kernel);
  const char* const value = std::getenv(kUpgradeVariable);
  const std::string variable = value == nullptr ? "" : value;
  ::unsetenv(kUpgradeVariable);
  if (!variable.empty()) {
    if (auto taken = sockets.take_handed(variable); !taken) {
      return std::unexpected(std::move(taken.error()));
    }
  }
  sockets.take_activated();
  return sockets;
}

void InheritedSockets::take_activated() {
  char** names = nullptr;
  const int count = service::systemd_listen_fds(&names);
  for (int i = 0; i < count; ++i) {
    const std::unique_ptr<char, decltype(&std::free)> name(names[i], &std::free);
    activated_.push_back({name.get(), adopt(*kernel_, service::kListenFdsStart + i)});
  }
  std::free(static_cast<void*>(names));
}

std::expected<void, std::string> InheritedSockets::take_handed(std::string_view variable) {
  const auto parsed = parse_upgrade_variable(variable);
  // Not for us: an ancestor was upgraded, and we merely inherited its environment.
  if (parsed && parsed->pid != ::getpid()) return {};
  if (!parsed || !is_open(parsed->sockets_fd) || !is_open(parsed->ready_fd)) {
    return std::unexpected(fmt::format("{}: '{}' describes no hand-over of sockets; unset it",
                                       kUpgradeVariable, variable));
  }
  const UniqueFd description(parsed->sockets_fd);
  ready_.reset(parsed->ready_fd);
  ::fcntl(ready_.get(), F_SETFD, FD_CLOEXEC);
  const auto text = read_all(description.get());
  auto sockets = text ? parse_sockets(*text) : std::nullopt;
  if (!sockets) {
    return std::unexpected(
        fmt::format("{}: the description of sockets is damaged", kUpgradeVariable));
  }
  for (PassedSocket& socket : *sockets) {
    // What is no socket is not ours to close.
    if (!is_socket(socket.fd)) continue;
    sys::KernelFd adopted = adopt(*kernel_, socket.fd);
    switch (socket.kind) {
      case PassedKind::kActivated:
        activated_.push_back({std::move(socket.text), std::move(adopted)});
        break;
      case PassedKind::kListener:
        handed_.emplace(std::move(socket.text), std::move(adopted));
        break;
    }
  }
  is_upgrade_ = true;
  return {};
}

std::vector<std::size_t> InheritedSockets::find(std::string_view name_or_number) const {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < activated_.size(); ++i) {
    if (activated_[i].name == name_or_number) found.push_back(i);
  }
  std::size_t number = 0;
  const auto [end, error] =
      std::from_chars(name_or_number.data(), name_or_number.data() + name_or_number.size(), number);
  const bool is_number =
      error == std::errc{} && end == name_or_number.data() + name_or_number.size();
  if (found.empty() && is_number && number < activated_.size()) found.push_back(number);
  return found;
}

std::vector<sys::KernelFd> InheritedSockets::take_over(const ListenerKey& spec) {
  std::vector<sys::KernelFd> sockets;
  const auto [first, last] = handed_.equal_range(spec.key);
  for (auto item = first; item != last; ++item) {
    if (is_listener(item->second, spec)) sockets.push_back(std::move(item->second));
  }
  handed_.erase(first, last);
  return sockets;
}

bool InheritedSockets::has_port(policy::Protocol protocol, wire::Port port) const {
  const int type = protocol == policy::Protocol::kUdp ? SOCK_DGRAM : SOCK_STREAM;
  return std::ranges::any_of(handed_, [&](const auto& entry) {
    const auto bound = sys::local_endpoint_of(entry.second);
    return bound && bound->port == port && has(entry.second, SO_TYPE, type);
  });
}

void InheritedSockets::tell_ready() {
  if (!ready_.valid()) return;
  [[maybe_unused]] const ssize_t written = ::write(ready_.get(), &kUpgradeReady, 1);
  ready_.reset();
}

}  // namespace sluice::forward
