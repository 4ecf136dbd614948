// The plans of what is served and of what is written down of it, from a guest's options.
#pragma once

#include <string>
#include <vector>

#include "app/guest/guest_options.h"
#include "app/guest/namespace_options.h"
#include "app/guest/network_choice.h"
#include "serve/outputs.h"
#include "serve/plan.h"

namespace sluice::app {

// Says on standard error what the policy is, where there is one, and what is doubtful about it.
void tell_policy(const GuestOptions& options);

// The guest's network as it becomes on this host. Whose routes cannot be read is served the usual
// one. What a person should know of it has been printed.
[[nodiscard]] NetworkChoice network_for(const GuestOptions& options);

[[nodiscard]] serve::OutputPlan output_plan(const GuestOptions& options);
// Without fast path and loopback path: of a guest into whose namespace nobody of ours goes.
[[nodiscard]] serve::ServePlan serve_plan(const GuestOptions& options, flow::GuestNetwork network);
// Of a command, as it stands with what is asked about it.
[[nodiscard]] std::string shown_command(const std::vector<std::string>& command);
// With what is asked of these.
[[nodiscard]] serve::ServePlan namespace_plan(const NamespaceOptions& options,
                                              flow::GuestNetwork network);

}  // namespace sluice::app
