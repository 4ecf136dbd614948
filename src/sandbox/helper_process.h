// Processes of ours that live on beside us after a fork, without exec, and talk to us over one
// descriptor.
#pragma once

#include <cstdint>

#include "base/unique_fd.h"
#include "sandbox/seccomp_filter.h"

namespace sluice::sandbox {

enum class ParentsEnd : std::uint8_t {
  kIsOurs,
  kIsSeen,  // By the channel: there is work to do then.
};

// Makes the calling process, just forked, stand alone: with no descriptor but `channel`, terminal
// or signal of the process that it is a copy of, undumpable, called `name`, and dead with its
// parent, unless it is to outlive that. Returns the channel under its new number. Where a filter is
// to be debugged standard error stays.
[[nodiscard]] UniqueFd stand_alone(UniqueFd channel, const char* name, SeccompMode mode,
                                   ParentsEnd end = ParentsEnd::kIsOurs);

}  // namespace sluice::sandbox
