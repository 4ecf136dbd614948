// Where those are by whom rules lead flows: their names are looked up as this host does it, once,
// before a guest begins and when a policy is read again. What a guest or a resolver says in between
// changes nothing about it.
#pragma once

#include <expected>
#include <string>

#include "policy/egress/egress_policy.h"

namespace sluice::app {

// Fills in where each `via` of the rules leads. Blocks. An error is a sentence for a person.
[[nodiscard]] std::expected<void, std::string> find_brokers(policy::EgressDraft& draft);

}  // namespace sluice::app
