// Signals as readable events. The signals stay blocked for the life of the process that serves;
// what a child must get back is kept in SavedSignals.
#pragma once

#include <signal.h>
#include <sys/signalfd.h>

#include <expected>
#include <optional>
#include <span>

#include "base/unique_fd.h"
#include "sys/sys_error.h"

namespace sluice::sys {

// The mask and the dispositions before we changed them.
struct SavedSignals {
  sigset_t mask{};
  struct sigaction pipe{};
  struct sigaction child{};

  // Puts them back; for a child before exec.
  void restore() const;
};

class SignalFd {
 public:
  // Blocks `signals` in this thread and opens a non-blocking signalfd for them. Ignores SIGPIPE
  // and makes SIGCHLD default. Call it before any thread or child is started.
  [[nodiscard]] static std::expected<SignalFd, SysError> open(std::span<const int> signals);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const SavedSignals& saved() const { return saved_; }

  // Nothing when no signal waits.
  [[nodiscard]] std::optional<signalfd_siginfo> read();

 private:
  SignalFd(UniqueFd fd, const SavedSignals& saved) : fd_(std::move(fd)), saved_(saved) {}

  UniqueFd fd_;
  SavedSignals saved_;
};

}  // namespace sluice::sys
