// Called as `rinetd`: that program's command line, with our forwarder behind.
#pragma once

#include <expected>
#include <span>
#include <string>

#include "app/options/early_exit.h"

namespace sluice::app {

struct RinetdOptions {
  std::string config_file = "/etc/rinetd.conf";
  bool foreground = false;
};

// `words` is the whole command line, argv[0] first. Options are read by getopt_long(3), as rinetd
// does: they may be shortened, and other words are ignored. getopt has printed what was wrong with
// one; the early exit is then empty, with exit code 1.
[[nodiscard]] std::expected<RinetdOptions, EarlyExit> parse_rinetd_options(
    std::span<const char* const> words);

// Returns the exit status: 0 after SIGTERM, or when the daemon has started; 1 when it cannot start.
[[nodiscard]] std::expected<int, EarlyExit> start_rinetd(std::span<const char* const> words);

}  // namespace sluice::app
