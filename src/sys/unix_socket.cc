#include "sys/unix_socket.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "sys/socket_options.h"

namespace sluice::sys {
namespace {

// Whether the name is a socket of a program that is gone.
[[nodiscard]] bool is_stale(Kernel& kernel, int type, const SocketAddress& address,
                            const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  const auto probe = open_socket(kernel, AF_UNIX, type, 0);
  return probe && kernel.connect(probe->get(), address.get(), address.length) != 0 &&
         errno == ECONNREFUSED;
}

}  // namespace

std::optional<SocketAddress> unix_sockaddr(std::string_view path) {
  if (path.empty() || path.size() > kUnixPathMax) return std::nullopt;
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.data(), path.size());
  const bool abstract = path.starts_with('@');
  if (abstract) name.sun_path[0] = '\0';
  SocketAddress address;
  std::memcpy(&address.storage, &name, sizeof name);
  // A path ends with a zero byte; an abstract name has exactly these bytes.
  address.length =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
  return address;
}

BoundPath::BoundPath(const std::string& path) {
  struct stat status{};
  if (path.empty() || path.front() == '@' || ::lstat(path.c_str(), &status) != 0) return;
  path_ = path;
  device_ = status.st_dev;
  inode_ = status.st_ino;
}

BoundPath::BoundPath(BoundPath&& other) noexcept
    : path_(std::exchange(other.path_, {})), device_(other.device_), inode_(other.inode_) {}

BoundPath& BoundPath::operator=(BoundPath&& other) noexcept {
  if (this != &other) {
    remove();
    path_ = std::exchange(other.path_, {});
    device_ = other.device_;
    inode_ = other.inode_;
  }
  return *this;
}

BoundPath::~BoundPath() { remove(); }

void BoundPath::remove() {
  if (path_.empty()) return;
  struct stat status{};
  if (::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
  path_.clear();
}

std::expected<KernelFd, SysError> bind_unix(Kernel& kernel, int type, const std::string& path,
                                            mode_t mode) {
  const auto address = unix_sockaddr(path);
  if (!address) return std::unexpected(SysError{SysOp::kBind, ENAMETOOLONG});
  auto socket = open_socket(kernel, AF_UNIX, type, 0);
  if (!socket) return socket;
  // bind() makes the file with the socket's own mode, less the umask. To change it by its path
  // afterwards would follow a link that somebody has put there meanwhile.
  (void)::fchmod(socket->get(), mode);
  int bound = kernel.bind(socket->get(), address->get(), address->length);
  if (bound != 0 && errno == EADDRINUSE && path.front() != '@') {
    if (!is_stale(kernel, type, *address, path)) {
      return std::unexpected(SysError{SysOp::kBind, EADDRINUSE});
    }
    if (::unlink(path.c_str()) != 0) return std::unexpected(last_error(SysOp::kBind));
    bound = kernel.bind(socket->get(), address->get(), address->length);
  }
  if (bound != 0) return std::unexpected(last_error(SysOp::kBind));
  return socket;
}

bool somebody_listens(Kernel& kernel, const std::string& path) {
  const auto address = unix_sockaddr(path);
  const auto probe = open_socket(kernel, AF_UNIX, SOCK_STREAM, 0);
  // A queue that is full is somebody's.
  return address && probe &&
         (kernel.connect(probe->get(), address->get(), address->length) == 0 || errno == EAGAIN);
}

std::expected<KernelFd, SysError> connect_datagram(Kernel& kernel, const std::string& path) {
  const auto address = unix_sockaddr(path);
  if (!address) return std::unexpected(SysError{SysOp::kConnect, ENAMETOOLONG});
  auto socket = open_socket(kernel, AF_UNIX, SOCK_DGRAM, 0);
  if (socket && kernel.connect(socket->get(), address->get(), address->length) != 0) {
    return std::unexpected(last_error(SysOp::kConnect));
  }
  return socket;
}

}  // namespace sluice::sys
