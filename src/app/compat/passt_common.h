// What the command lines of passt and of pasta say alike, besides what they say of their guest.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "wire/address.h"

namespace sluice::app {

struct PasstCommon {
  bool foreground = false;
  std::string pid_file;  // Empty: none.
  std::string log_file;  // Empty: the system's log, and standard error in the foreground.
  std::size_t log_size = 1024 * 1024;
  // --map-guest-addr: what stands for the host's own address of that family.
  std::optional<wire::IpAddress> host_alias_v4;
  std::optional<wire::IpAddress> host_alias_v6;
  std::string run_as;                    // Empty: as who started it; nobody in the place of root.
  std::vector<std::string> differences;  // On purpose: a sentence each, for who asks.
  std::vector<std::string> warnings;     // What was wanted and is not done: for everybody.
};

}  // namespace sluice::app
