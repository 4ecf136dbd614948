// The file of a socket, removed when we have ended, however that came: a confined process may
// remove none, and one that is killed does nothing. So a process of ours waits for our end. Not
// thread-safe.
#pragma once

#include <expected>
#include <utility>

#include "sandbox/helper_process.h"
#include "sys/setup_error.h"
#include "sys/unix_socket.h"

namespace sluice::serve {

class SocketFile {
 public:
  // For a process with one thread. An abstract name needs nothing.
  [[nodiscard]] static std::expected<SocketFile, sys::SetupError> keep(sys::BoundPath path);

  SocketFile() = default;
  SocketFile(SocketFile&& other) noexcept = default;
  SocketFile& operator=(SocketFile&& other) noexcept = default;
  // The file is gone when this returns.
  ~SocketFile() = default;

 private:
  explicit SocketFile(sandbox::HelperProcess remover) : remover_(std::move(remover)) {}

  sandbox::HelperProcess remover_;  // It sees by its channel when we are gone.
};

}  // namespace sluice::serve
