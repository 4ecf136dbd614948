// A command in namespaces of its own as the guest: `sluice run`. Its links are the queues of a tap
// there, as many as there are workers (link::kMaxTapQueues at most). Shares our process group and
// our terminal (netns/child_process.h). Not thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "netns/child_process.h"
#include "netns/namespaces.h"
#include "serve/guest.h"
#include "serve/namespace/guest_tap.h"

namespace sluice::serve {

struct CommandPlan {
  std::vector<std::string> command{};  // Never empty; as for execvp().
  TapPlan tap{};
  std::vector<std::string> hidden{};  // Folders that it finds empty.
  netns::GuestUser user = netns::GuestUser::kCaller;
  netns::PidNamespace pid_namespace = netns::PidNamespace::kShared;
  // Called once, when all that serves it is ready and before it runs; may be empty.
  std::function<void()> ready{};
};

class CommandGuest final : public Guest {
 public:
  explicit CommandGuest(CommandPlan plan) : plan_(std::move(plan)) {}

  [[nodiscard]] std::string_view program() const override { return "sluice run"; }
  [[nodiscard]] std::span<const int> signals() const override { return netns::kChildSignals; }
  [[nodiscard]] std::expected<void, sys::SetupError> begin(const GuestSetting& setting) override;
  [[nodiscard]] std::expected<GuestEnds, sys::SetupError> await(sys::Kernel& kernel) override;
  [[nodiscard]] std::expected<void, sys::SetupError> start() override;
  void kill() override { child_->send_signal(SIGKILL); }

  [[nodiscard]] int signalled() const override { return child_->pidfd(); }
  [[nodiscard]] std::vector<int> descriptors() const override;
  void on_ready(std::size_t place) override;
  void on_signal(const signalfd_siginfo& info) override;
  void on_link_gone() override;

  [[nodiscard]] std::optional<int> exit_status() const override { return exit_status_; }
  [[nodiscard]] bool goes_on() const override { return false; }
  [[nodiscard]] const std::optional<sys::SetupError>& failure() const override {
    return child_->exec_error();
  }

 private:
  CommandPlan plan_;
  std::optional<netns::PendingGuest> pending_;  // From begin() to start().
  std::optional<netns::ChildProcess> child_;    // From start().
  std::optional<int> exit_status_;
};

}  // namespace sluice::serve
