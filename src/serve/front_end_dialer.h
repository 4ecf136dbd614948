// Front-ends of vhost-user that listen themselves: somebody has to connect to their path, again and
// again, and a confined process may not. So a process of ours does, which can do nothing else: it
// connects when it is asked to, and passes the socket on. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <expected>
#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "link/vhost_user/vhost_user_link.h"
#include "sys/kernel.h"
#include "sys/setup_error.h"

namespace sluice::serve {

class FrontEndDialer final : public link::FrontEnds {
 public:
  // For a process with one thread. Nobody need listen yet. The kernel is not owned.
  [[nodiscard]] static std::expected<std::unique_ptr<FrontEndDialer>, sys::SetupError> start(
      sys::Kernel& kernel, const std::string& path);
  ~FrontEndDialer() override;

  [[nodiscard]] int descriptor() const override { return channel_.get(); }
  [[nodiscard]] std::optional<sys::KernelFd> take() override;
  void expect() override;

 private:
  FrontEndDialer(sys::KernelFd channel, pid_t dialer)
      : channel_(std::move(channel)), dialer_(dialer) {}

  sys::KernelFd channel_;
  pid_t dialer_;
};

}  // namespace sluice::serve
