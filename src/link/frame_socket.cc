#include "link/frame_socket.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "base/unreachable.h"
#include "sys/socket_options.h"

namespace sluice::link {
namespace {

// One is served at a time; others are turned away at once.
constexpr int kBacklog = 8;

[[nodiscard]] int type_of(FrameSocketKind kind) {
  switch (kind) {
    case FrameSocketKind::kStream: return SOCK_STREAM;
    case FrameSocketKind::kSeqpacket: return SOCK_SEQPACKET;
    case FrameSocketKind::kDatagram: return SOCK_DGRAM;
  }
  unreachable("socket kind outside its enum");
}

[[nodiscard]] std::unexpected<sys::SetupError> cannot_listen(const std::string& path, int error) {
  const char* hint = "";
  if (error == EADDRINUSE) {
    hint = "another program has it, or it is no socket: remove it or choose another path";
  } else if (error == ENAMETOOLONG) {
    hint = "a socket's path has at most 107 bytes";
  } else if (error == ENOENT) {
    hint = "its directory does not exist: make it first";
  }
  return std::unexpected(sys::SetupError{fmt::format("listen at '{}'", path), error, hint});
}

[[nodiscard]] std::unexpected<sys::SetupError> not_usable(int fd, int error, const char* hint) {
  return std::unexpected(sys::SetupError{fmt::format("descriptor {}", fd), error, hint});
}

}  // namespace

std::expected<FrameSocket, sys::SetupError> open_frame_socket(sys::Kernel& kernel,
                                                              FrameSocketKind kind,
                                                              const std::string& path) {
  auto socket = sys::bind_unix(kernel, type_of(kind), path, 0600);
  if (!socket) return cannot_listen(path, socket.error().error);
  const bool listens = kind != FrameSocketKind::kDatagram;
  if (listens) {
    sys::BoundPath made(path);
    if (kernel.listen(socket->get(), kBacklog) != 0) return cannot_listen(path, errno);
    made.forget();
  }
  return FrameSocket{std::move(*socket), kind, listens, false};
}

std::expected<FrameSocket, sys::SetupError> take_frame_socket(sys::Kernel& kernel, int fd) {
  // Before it is ours, as a number of another's must not be closed.
  if (::fcntl(fd, F_GETFD) < 0) {
    return not_usable(fd, errno, "whoever starts us must leave it open");
  }
  FrameSocket result;
  result.socket = sys::KernelFd(kernel, fd);
  const auto type = sys::get_option(result.socket, SOL_SOCKET, SO_TYPE);
  if (!type) return not_usable(fd, type.error().error, "expected a socket");
  switch (*type) {
    case SOCK_STREAM: result.kind = FrameSocketKind::kStream; break;
    case SOCK_SEQPACKET: result.kind = FrameSocketKind::kSeqpacket; break;
    case SOCK_DGRAM: result.kind = FrameSocketKind::kDatagram; break;
    default: return not_usable(fd, EPROTOTYPE, "expected a stream, seqpacket or datagram socket");
  }
  result.listens = sys::get_option(result.socket, SOL_SOCKET, SO_ACCEPTCONN).value_or(0) != 0;
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  result.connected = ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) == 0;
  if (!result.connected && !result.listens && result.kind != FrameSocketKind::kDatagram) {
    return not_usable(fd, ENOTCONN, "expected a socket that listens or is connected");
  }
  // Whoever shares it has its flags too, but at the other end is a machine's monitor.
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
      ::fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
    return not_usable(fd, errno, "");
  }
  return result;
}

}  // namespace sluice::link
