// The file of a socket, removed when we have ended, however that came: a confined process may
// remove none, and one that is killed does nothing. So a process of ours waits for our end. Not
// thread-safe.
#pragma once

#include <sys/types.h>

#include <expected>
#include <utility>

#include "base/unique_fd.h"
#include "sys/setup_error.h"
#include "sys/unix_socket.h"

namespace sluice::serve {

class SocketFile {
 public:
  // For a process with one thread. An abstract name needs nothing.
  [[nodiscard]] static std::expected<SocketFile, sys::SetupError> keep(sys::BoundPath path);

  SocketFile() = default;
  SocketFile(SocketFile&& other) noexcept
      : channel_(std::move(other.channel_)), remover_(std::exchange(other.remover_, -1)) {}
  SocketFile& operator=(SocketFile&& other) noexcept {
    std::swap(channel_, other.channel_);
    std::swap(remover_, other.remover_);
    return *this;
  }
  // The file is gone when this returns.
  ~SocketFile();

 private:
  SocketFile(UniqueFd channel, pid_t remover) : channel_(std::move(channel)), remover_(remover) {}

  UniqueFd channel_;  // Its other end sees when we are gone.
  pid_t remover_ = -1;
};

}  // namespace sluice::serve
