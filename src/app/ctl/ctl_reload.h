// `sluice ctl reload`: reads the files and profiles of a run's policy again, and gives the run what
// comes of them, whole or not at all.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "app/ctl/run_client.h"
#include "policy/egress/egress_policy.h"

namespace sluice::app {

struct Reloaded {
  Asked answer;                       // The run's last.
  std::string line;                   // "default deny, 7 rules (ci.toml)"
  std::vector<std::string> warnings;  // Doubts about its rules.
};

// The error is lines for a person: a mistake in a file names it and its line, and the run has the
// policy that it had.
[[nodiscard]] std::expected<Reloaded, std::string> reload(control::Connection& run);

// The requests that bring a policy to a run, each a line with its newline. `upload` is what its
// parts have in common.
[[nodiscard]] std::vector<std::string> reload_requests(const policy::EgressDraft& draft,
                                                       std::uint64_t upload);

}  // namespace sluice::app
