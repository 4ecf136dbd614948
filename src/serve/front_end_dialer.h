// Front-ends of vhost-user that listen themselves: somebody has to connect to their path, again and
// again, and a confined process may not. So a process of ours does, which can do nothing else: it
// connects when it is asked to, and passes the socket on. Not thread-safe.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <utility>

#include "link/vhost_user/vhost_user_back_end.h"
#include "sandbox/helper_process.h"
#include "sys/kernel.h"
#include "sys/setup_error.h"

namespace sluice::serve {

class FrontEndDialer final : public link::FrontEnds {
 public:
  // For a process with one thread. Nobody need listen yet. The kernel is not owned.
  [[nodiscard]] static std::expected<std::unique_ptr<FrontEndDialer>, sys::SetupError> start(
      sys::Kernel& kernel, const std::string& path);

  [[nodiscard]] int descriptor() const override { return dialer_.channel(); }
  [[nodiscard]] std::optional<sys::KernelFd> take() override;
  void expect() override;

 private:
  FrontEndDialer(sys::Kernel& kernel, sandbox::HelperProcess dialer)
      : kernel_(&kernel), dialer_(std::move(dialer)) {}

  sys::Kernel* kernel_;  // Not owned.
  sandbox::HelperProcess dialer_;
};

}  // namespace sluice::serve
