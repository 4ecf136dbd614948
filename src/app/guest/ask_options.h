// How people are asked about what a policy leaves to them: --ask-timeout, --ask-exec, and what they
// answered for always.
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <string>

#include "app/options/early_exit.h"
#include "app/options/raw_options.h"
#include "config/egress/policy_parts.h"
#include "serve/ask/ask_plan.h"

namespace sluice::app {

// Where the policy asks: adds the decisions that are remembered, and says how many they are.
[[nodiscard]] std::expected<std::size_t, Mistake> read_ask_options(const RawOptions& raw,
                                                                   config::PolicyParts& parts,
                                                                   serve::AskPlan& ask);

// The same without options, where a policy is read again. The error is a sentence.
[[nodiscard]] std::expected<std::size_t, std::string> add_remembered(policy::EgressDraft& draft);

// Where that is remembered, which is not for a guest to write; made where it was missing. Nothing
// where it cannot be.
[[nodiscard]] std::optional<std::string> remembered_folder();

}  // namespace sluice::app
