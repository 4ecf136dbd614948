// UNIX sockets (unix(7)): their addresses, their names in the file system.
#pragma once

#include <sys/types.h>
#include <sys/un.h>

#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "sys/kernel.h"
#include "sys/sockaddr.h"
#include "sys/sys_error.h"

namespace sluice::sys {

// The longest path, '@' of an abstract name included.
inline constexpr std::size_t kUnixPathMax = sizeof(sockaddr_un::sun_path) - 1;

// '@' first stands for the abstract namespace, whose names begin with a zero byte. Nothing when
// the path is empty or too long.
[[nodiscard]] std::optional<SocketAddress> unix_sockaddr(std::string_view path);

// A name in the file system that we made; removed when this goes, if it is still ours.
class BoundPath {
 public:
  BoundPath() = default;
  // Of a socket that is bound there now. Empty for the abstract namespace.
  explicit BoundPath(const std::string& path);
  BoundPath(BoundPath&& other) noexcept;
  BoundPath& operator=(BoundPath&& other) noexcept;
  ~BoundPath();
  void remove();
  void forget() { path_.clear(); }
  [[nodiscard]] bool empty() const { return path_.empty(); }

 private:
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

// A non-blocking, close-on-exec socket of `type` that is bound to `path`; '@' first stands for the
// abstract namespace. Its file has `mode` less the umask. One whose owner is gone is replaced;
// EADDRINUSE: somebody has it, or it is no socket of this type. ENAMETOOLONG, too, is told as
// bind()'s.
[[nodiscard]] std::expected<KernelFd, SysError> bind_unix(Kernel& kernel, int type,
                                                          const std::string& path, mode_t mode);

// Whether somebody accepts connections there. Asks by making one.
[[nodiscard]] bool somebody_listens(Kernel& kernel, const std::string& path);

// A datagram socket that is connected to `path`, such as the system's log.
[[nodiscard]] std::expected<KernelFd, SysError> connect_datagram(Kernel& kernel,
                                                                 const std::string& path);

}  // namespace sluice::sys
