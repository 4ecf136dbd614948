// libsystemd, loaded when systemd started us and not before: with all it needs it would cost each
// start of the program a millisecond and half a MiB, `sluice run` included.
#pragma once

namespace sluice::service {

// sd_notify(3). Without NOTIFY_SOCKET, or without the library, nothing.
void systemd_notify(const char* state);

// The first descriptor that systemd passes (SD_LISTEN_FDS_START).
inline constexpr int kListenFdsStart = 3;

// sd_listen_fds_with_names(3), which unsets the variables. `names` is to be freed, each name too.
// 0 without LISTEN_FDS; a negative errno on failure, -ELIBACC without the library.
[[nodiscard]] int systemd_listen_fds(char*** names);

}  // namespace sluice::service
