// What systemd is told (sd_notify(3), Type=notify or notify-reload). Without NOTIFY_SOCKET these
// do nothing.
#pragma once

#include <sys/types.h>

#include <string_view>

#include "base/time.h"

namespace sluice::service {

// `status` is one line for `systemctl status`.
void notify_ready(std::string_view status);
// Before a reload; notify_ready() ends it, whatever came of it. `now` is CLOCK_MONOTONIC.
void notify_reloading(Instant now);
void notify_stopping(std::string_view status);
void notify_status(std::string_view status);
// Another process is the service from now on, and it is ready.
void notify_main_pid(pid_t pid, std::string_view status);

}  // namespace sluice::service
