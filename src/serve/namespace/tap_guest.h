// A tap that somebody else has made and handed to us as the guest's end: whose it is, and in which
// namespace, we do not know. It ends when we are told to, or the interface is deleted. Not
// thread-safe.
#pragma once

#include <array>
#include <csignal>
#include <functional>
#include <optional>
#include <vector>

#include "base/unique_fd.h"
#include "serve/guest.h"

namespace sluice::serve {

struct GivenTap {
  UniqueFd tap{};
  // We end when this one's other side is closed, or writes; invalid: nobody says so.
  UniqueFd until{};
  // Called once, when all that serves it is ready and before we are confined; may be empty.
  std::function<void()> ready{};
};

class TapGuest final : public Guest {
 public:
  explicit TapGuest(GivenTap given) : given_(std::move(given)) {}

  [[nodiscard]] std::string_view program() const override { return "sluice attach"; }
  [[nodiscard]] std::span<const int> signals() const override { return kSignals; }
  [[nodiscard]] std::expected<void, sys::SetupError> begin(const GuestSetting& setting) override;
  [[nodiscard]] std::expected<GuestEnds, sys::SetupError> await(sys::Kernel& kernel) override;
  [[nodiscard]] std::expected<void, sys::SetupError> start() override;
  void kill() override {}

  [[nodiscard]] int signalled() const override { return -1; }
  [[nodiscard]] std::vector<int> descriptors() const override;
  void on_ready(std::size_t place) override;
  void on_signal(const signalfd_siginfo& info) override;
  void on_link_gone() override;

  [[nodiscard]] std::optional<int> exit_status() const override { return exit_status_; }
  [[nodiscard]] bool goes_on() const override { return true; }
  [[nodiscard]] const std::optional<sys::SetupError>& failure() const override { return failure_; }

 private:
  static constexpr std::array kSignals{SIGTERM, SIGINT, SIGHUP};

  GivenTap given_;
  std::optional<int> exit_status_;
  std::optional<sys::SetupError> failure_;  // None: there is nothing that could not run.
};

}  // namespace sluice::serve
