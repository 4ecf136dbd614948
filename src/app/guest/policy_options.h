// The policy of a guest, from the options that describe it.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "app/guest/guest_options.h"
#include "app/options/early_exit.h"
#include "app/options/raw_options.h"
#include "flow/core/guest_network.h"
#include "policy/egress/egress_policy.h"
#include "serve/policy_sources.h"

namespace sluice::app {

// Reads the files that are named. Fills in the policy, and the limits that files set and options do
// not.
[[nodiscard]] std::expected<void, Mistake> read_policy_options(const RawOptions& raw,
                                                               GuestOptions& options);

// What a policy was made of, for `sluice ctl reload`; and the policy that is made of it now. An
// error is lines for a person.
[[nodiscard]] serve::PolicySources sources_of(const GuestOptions& options);
struct PolicyAgain {
  policy::EgressDraft draft;          // Without the gateways' addresses.
  std::string line;                   // What to say of it.
  std::vector<std::string> warnings;  // Doubts about its rules.
};
[[nodiscard]] std::expected<PolicyAgain, std::string> read_policy_again(
    const serve::PolicySources& sources);

// Whether a rule lets the guest reach the host's loopback, as --host-loopback does.
[[nodiscard]] bool opens_loopback(const policy::EgressDraft& policy);

// The policy where the network is known: what @gateway and @loopback are, and what --host-loopback
// and --host-addresses open.
[[nodiscard]] policy::EgressDraft policy_for(const GuestOptions& options,
                                             const flow::GuestNetwork& network);

}  // namespace sluice::app
