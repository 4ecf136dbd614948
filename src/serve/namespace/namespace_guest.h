// Namespaces that somebody else has made as the guest: `sluice attach`. Its links are the queues of
// a tap there, as many as there are workers. It ends when the namespace does
// (netns/attach/attendant.h), or when we are told to; then the tap vanishes, and the namespace goes
// on without. Not thread-safe.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "netns/attach/attendant.h"
#include "netns/child_process.h"
#include "serve/guest.h"
#include "serve/namespace/guest_tap.h"
#include "serve/socket_file.h"

namespace sluice::serve {

struct NamespacePlan {
  netns::TargetNames target{};
  TapPlan tap{};
  // Written once the network is there, and removed in the end; empty: none.
  std::string pid_file{};
  // We end when this one's other side is closed, or writes; invalid: nobody says so.
  UniqueFd until{};
  // Called once, when nothing is left to do that takes our rights; may be empty. An error ends the
  // start.
  std::function<std::expected<void, sys::SetupError>()> change_user{};
  // Called once after that, when all that serves it is ready and before we are confined; may be
  // empty.
  std::function<void()> ready{};
  bool stays = false;  // Also when the namespace has ended for everybody else.
};

class NamespaceGuest final : public Guest {
 public:
  explicit NamespaceGuest(NamespacePlan plan) : plan_(std::move(plan)) {}

  [[nodiscard]] std::string_view program() const override { return "sluice attach"; }
  [[nodiscard]] std::span<const int> signals() const override { return kSignals; }
  [[nodiscard]] std::expected<void, sys::SetupError> begin(const GuestSetting& setting) override;
  [[nodiscard]] std::expected<GuestEnds, sys::SetupError> await(sys::Kernel& kernel) override;
  [[nodiscard]] std::expected<void, sys::SetupError> start() override;
  void kill() override { attendant_->send_signal(SIGKILL); }

  [[nodiscard]] int signalled() const override { return attendant_->pidfd(); }
  [[nodiscard]] std::vector<int> descriptors() const override;
  void on_ready(std::size_t place) override;
  void on_signal(const signalfd_siginfo& info) override;
  void on_link_gone() override;

  [[nodiscard]] std::optional<int> exit_status() const override { return exit_status_; }
  [[nodiscard]] bool goes_on() const override { return !ended_; }
  [[nodiscard]] const std::optional<sys::SetupError>& failure() const override { return failure_; }

 private:
  static constexpr std::array kSignals{SIGTERM, SIGINT, SIGHUP};

  NamespacePlan plan_;
  netns::TargetNamespaces target_;
  std::optional<netns::PendingGuest> pending_;    // From begin() to start().
  std::optional<netns::ChildProcess> attendant_;  // From start().
  SocketFile pid_file_;
  bool ended_ = false;  // The namespace has, or what we know of it.
  std::optional<int> exit_status_;
  std::optional<sys::SetupError> failure_;
};

}  // namespace sluice::serve
