// The file of a socket and the pid file, removed when we have ended, however that came: a confined
// process may remove none, and one that is killed does nothing. So a process of ours waits for our
// end. Not thread-safe.
#pragma once

#include <expected>
#include <optional>
#include <utility>

#include "sandbox/helper_process.h"
#include "service/daemon.h"
#include "sys/setup_error.h"
#include "sys/unix_socket.h"

namespace sluice::serve {

class SocketFile {
 public:
  // For a process with one thread, which has written the pid file, if there is one. An abstract
  // name needs nothing.
  [[nodiscard]] static std::expected<SocketFile, sys::SetupError> keep(
      sys::BoundPath path, std::optional<service::PidFile> pid_file = std::nullopt);

  SocketFile() = default;
  SocketFile(SocketFile&& other) noexcept = default;
  SocketFile& operator=(SocketFile&& other) noexcept = default;
  // The files are gone when this returns.
  ~SocketFile() = default;

 private:
  explicit SocketFile(sandbox::HelperProcess remover) : remover_(std::move(remover)) {}

  sandbox::HelperProcess remover_;  // It sees by its channel when we are gone.
};

}  // namespace sluice::serve
