// Processes of ours that live on beside us after a fork, without exec, and talk to us over one
// descriptor, or one for each of our workers.
#pragma once

#include <cstdint>
#include <vector>

#include "base/unique_fd.h"
#include "sandbox/seccomp_filter.h"

namespace sluice::sandbox {

enum class ParentsEnd : std::uint8_t {
  kIsOurs,
  kIsSeen,  // By the channel: there is work to do then.
};

// Makes the calling process, just forked, stand alone: with no descriptor but `channels`, terminal
// or signal of the process that it is a copy of, undumpable, called `name`, and dead with its
// parent, unless it is to outlive that. Returns the channels, in their order, under new numbers.
// Where a filter is to be debugged standard error stays.
[[nodiscard]] std::vector<UniqueFd> stand_alone(std::vector<UniqueFd> channels, const char* name,
                                                SeccompMode mode,
                                                ParentsEnd end = ParentsEnd::kIsOurs);
// With one.
[[nodiscard]] UniqueFd stand_alone(UniqueFd channel, const char* name, SeccompMode mode,
                                   ParentsEnd end = ParentsEnd::kIsOurs);

}  // namespace sluice::sandbox
