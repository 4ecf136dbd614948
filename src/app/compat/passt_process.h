// The process that passt and pasta are: what it opens, whom it becomes, and how it is left behind.
#pragma once

#include <expected>
#include <optional>
#include <string>

#include "app/compat/passt_common.h"
#include "app/options/early_exit.h"
#include "base/unique_fd.h"
#include "flow/core/guest_network.h"
#include "service/daemon.h"
#include "sys/unix_socket.h"

namespace sluice::app {

inline constexpr int kPasstFailed = 1;  // The status of these programs, whatever failed.

// Its calls are made in this order, each of them once.
class PasstProcess {
 public:
  // Both outlive it.
  PasstProcess(const char* program, const PasstCommon& common)
      : program_(program), common_(common) {}

  // What must be opened before we become somebody else, and stay open. Says what is to be said of
  // the options.
  [[nodiscard]] std::expected<void, Mistake> open_files();
  // Root becomes nobody, if nothing else is said; root of a container stays.
  [[nodiscard]] std::expected<void, Mistake> become_user() const;
  // Returns in the process that stays behind, unless we are to stay in the foreground.
  [[nodiscard]] std::expected<void, Mistake> go_to_background();
  // All is up: from here on messages go to the system's log, if to no file, and whoever waits for
  // us may go on.
  void settle();

 private:
  const char* program_;
  const PasstCommon& common_;
  UniqueFd pid_;
  // For as long as the process lives, one of them.
  UniqueFd log_;
  sys::KernelFd system_log_;
  std::optional<service::Detachment> detachment_;
};

// What --map-guest-addr says, of the host as it is.
void add_aliases(const PasstCommon& common, flow::GuestNetwork& network);

}  // namespace sluice::app
