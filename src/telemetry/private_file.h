// Files about whom somebody talked to are nobody else's to read: made with mode 0600. One that is
// there keeps its mode, as its owner chose it; and a link is followed, as /dev/stderr is one.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdio>
#include <string>

namespace sluice::telemetry {

inline constexpr mode_t kPrivateFile = S_IRUSR | S_IWUSR;

// For writing, emptied; null with errno.
[[nodiscard]] inline std::FILE* open_private_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kPrivateFile);
  return fd < 0 ? nullptr : ::fdopen(fd, "w");
}

}  // namespace sluice::telemetry
