// The file that --learn writes: a policy that lets through what was used, and nothing else.
#pragma once

#include <cstdint>
#include <string>

#include "telemetry/usage/usage.h"

namespace sluice::app {

enum class Generalise : std::uint8_t {
  kNo,
  kDomains,  // Of a name: all of the domain that somebody registered.
};

// As sluice-policy(5) has it, each rule with how often it was used as a comment. What was only
// tried, in vain, is a comment.
[[nodiscard]] std::string learned_policy(const telemetry::Usage& usage, Generalise generalise);

}  // namespace sluice::app
