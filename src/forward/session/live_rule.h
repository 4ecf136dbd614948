// A rule at work, shared by all workers: what its plan says, and what changes while it runs.
// Sessions hold it alive when a reload takes it away.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "forward/plan.h"
#include "forward/session/client_admission.h"
#include "forward/target/target_set.h"

namespace sluice::forward {

// Carried over a reload while the rule's name stays. Each is relaxed: they are read for people.
struct RuleCounters {
  std::atomic<std::uint64_t> accepted{0};     // Sessions that were admitted.
  std::atomic<std::uint64_t> not_allowed{0};  // Refused by access rules, either way.
  std::atomic<std::uint64_t> limited{0};
  std::atomic<std::uint64_t> connect_failed{0};
  std::atomic<std::uint64_t> bad_proxy_header{0};
  std::atomic<std::uint64_t> datagrams_dropped{0};  // No room, or a session limit.
  std::atomic<std::uint64_t> bytes_to_target{0};
  std::atomic<std::uint64_t> bytes_to_client{0};
  std::atomic<std::uint32_t> active{0};
};

struct LiveRule {
  // `since`: the generation of the plan that it came with, as it is.
  LiveRule(Rule rule, const policy::AccessList& global, std::shared_ptr<RuleCounters> counted,
           std::uint64_t since = 1)
      : generation(since),
        plan(std::move(rule)),
        counters(std::move(counted)),
        targets(plan),
        admission(plan, global) {}

  const std::uint64_t generation;
  const Rule plan;
  const std::shared_ptr<RuleCounters> counters;
  TargetSet targets;
  ClientAdmission admission;
};

}  // namespace sluice::forward
