// Called as `passt`: its command line with our engine behind, started and left behind as QEMU and
// libvirt expect it.
#pragma once

#include <expected>
#include <span>

#include "app/options/early_exit.h"

namespace sluice::app {

// `words` is the whole command line, argv[0] first. Unless it stays in the foreground the process
// that was started exits with 0 once the socket listens and the pid file is written, with 1 where
// that fails; the one behind it serves.
[[nodiscard]] std::expected<int, EarlyExit> start_passt(std::span<const char* const> words);

}  // namespace sluice::app
