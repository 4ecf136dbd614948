// A process that follows the host's resolv.conf for one that may open no file.
//
// The file is replaced by rename, reached by links, or goes for a moment, so what is watched are
// the directories on the way to it beside itself (inotify(7)). The watcher is a child of the
// caller; it reads nothing but this file, and ends with the descriptor of the caller's.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "sys/setup_error.h"

namespace sluice::resolv {

// The largest file that is read; the rest of a larger one does not count.
inline constexpr std::size_t kResolvConfMax = 64 * 1024;

// The file's text; nothing when it cannot be read.
[[nodiscard]] std::optional<std::string> read_resolv_conf(const std::string& path);

// Starts the watcher. The descriptor has a message for the file as it was found, and for each
// change after. For a process with one thread.
[[nodiscard]] std::expected<UniqueFd, sys::SetupError> watch_resolv_conf(const std::string& path);

// The newest text that waits; empty when the file is not there. Nothing when there is no news.
[[nodiscard]] std::optional<std::string> newest_resolv_conf(int watch);

}  // namespace sluice::resolv
