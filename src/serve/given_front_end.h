// The front-end of vhost-user at the other end of a socket that was handed to us: the only one
// there will be. Not thread-safe.
#pragma once

#include <optional>
#include <utility>

#include "link/vhost_user/vhost_user_back_end.h"
#include "sys/kernel.h"

namespace sluice::serve {

class GivenFrontEnd final : public link::FrontEnds {
 public:
  // A connected stream socket, non-blocking. It is asked for when its first message is there, or
  // when it has ended.
  explicit GivenFrontEnd(sys::KernelFd socket) : fd_(socket.get()), socket_(std::move(socket)) {}

  [[nodiscard]] int descriptor() const override { return fd_; }
  [[nodiscard]] std::optional<sys::KernelFd> take() override {
    if (!socket_.valid()) return std::nullopt;
    return std::move(socket_);
  }

 private:
  int fd_;
  sys::KernelFd socket_;
};

}  // namespace sluice::serve
