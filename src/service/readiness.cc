#include "service/readiness.h"

#include <fmt/core.h>

#include "service/systemd_library.h"

namespace sluice::service {
namespace {

void notify(const std::string& state) { systemd_notify(state.c_str()); }

}  // namespace

void notify_ready(std::string_view status) { notify(fmt::format("READY=1\nSTATUS={}", status)); }

void notify_reloading(Instant now) {
  const auto since_boot =
      std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch());
  notify(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", since_boot.count()));
}

void notify_stopping(std::string_view status) {
  notify(fmt::format("STOPPING=1\nSTATUS={}", status));
}

void notify_status(std::string_view status) { notify(fmt::format("STATUS={}", status)); }

void notify_main_pid(pid_t pid, std::string_view status) {
  notify(fmt::format("MAINPID={}\nREADY=1\nSTATUS={}", pid, status));
}

}  // namespace sluice::service
