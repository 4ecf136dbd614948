// A command in a machine of our own as the guest: `sluice box`. The machine, its devices and its
// network are this process; beside it is a virtiofsd for each folder that the machine sees. Ends
// with the command, and with whatever ends the machine. Not thread-safe; what runs in other threads
// (processors, device thread) is behind its parts.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "serve/box/box_parts.h"
#include "serve/box/box_plan.h"
#include "serve/guest.h"

namespace sluice::serve {

class BoxGuest final : public Guest {
 public:
  // `make` stands for tests.
  explicit BoxGuest(BoxPlan plan, MakeBoxParts make = make_box_parts);

  [[nodiscard]] std::string_view program() const override { return "sluice box"; }
  // Without those that we were started to ignore, as by nohup(1).
  [[nodiscard]] std::span<const int> signals() const override { return signals_; }
  [[nodiscard]] std::expected<void, sys::SetupError> begin(const GuestSetting& setting) override;
  [[nodiscard]] std::expected<GuestEnds, sys::SetupError> await(sys::Kernel& kernel) override;
  [[nodiscard]] std::expected<void, sys::SetupError> start() override;
  void kill() override { end_service(); }
  void end_service() override;

  [[nodiscard]] int signalled() const override { return -1; }
  [[nodiscard]] std::vector<int> descriptors() const override;
  void on_ready(std::size_t place) override;
  void on_signal(const signalfd_siginfo& info) override;
  void on_link_gone() override {}

  [[nodiscard]] std::optional<int> exit_status() const override { return exit_status_; }
  // What the command has left in its sockets is the machine's kernel's to deliver: it runs until we
  // end.
  [[nodiscard]] bool goes_on() const override { return false; }
  [[nodiscard]] const std::optional<sys::SetupError>& failure() const override { return failure_; }

 private:
  void on_news();
  void on_machine_end();
  void on_boot_timer();
  void on_files_end();
  void tell_stages();
  // The end, unless there was one already.
  void end(int status, std::optional<sys::SetupError> failure = std::nullopt);
  void stop_with_terminal();

  BoxPlan plan_;
  MakeBoxParts make_;
  std::vector<int> signals_;
  std::unique_ptr<BoxParts> parts_;  // From begin() on.
  UniqueFd boot_timer_;              // Readable when the command should have started long ago.
  bool started_ = false;             // The command has.
  int terminations_ = 0;             // How often we were asked to end.
  std::optional<int> exit_status_;
  std::optional<sys::SetupError> failure_;
};

}  // namespace sluice::serve
