// Paths of UNIX sockets as the kernel's sockaddr (unix(7)).
#pragma once

#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <optional>
#include <string_view>

#include "sys/sockaddr.h"

namespace sluice::sys {

// The longest path, '@' of an abstract name included.
inline constexpr std::size_t kUnixPathMax = sizeof(sockaddr_un::sun_path) - 1;

// '@' first stands for the abstract namespace, whose names begin with a zero byte. Nothing when
// the path is empty or too long.
[[nodiscard]] inline std::optional<SocketAddress> unix_sockaddr(std::string_view path) {
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

}  // namespace sluice::sys
