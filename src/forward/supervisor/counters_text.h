// The table that SIGUSR1 prints: one line for each rule, and below it one for each of its targets.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "forward/session/live_rule.h"

namespace sluice::forward {

struct TargetSnapshot {
  std::string place;                   // "tcp://db.example:5432"
  std::vector<std::string> addresses;  // Of a name; empty while it has none.
  bool is_name = false;
  bool up = true;
  std::uint32_t active = 0;
};

// A rule's counters at one moment.
struct RuleSnapshot {
  std::string name;
  std::string listener;
  std::uint32_t active = 0;
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;  // By access rules, limits, or for a bad PROXY header.
  std::uint64_t failed = 0;   // No target could be connected to.
  std::uint64_t dropped = 0;  // Datagrams.
  std::uint64_t bytes_to_target = 0;
  std::uint64_t bytes_to_client = 0;
  std::vector<TargetSnapshot> targets;
};

[[nodiscard]] RuleSnapshot snapshot_of(const LiveRule& rule);

// Columns are aligned; every line ends with a newline. What is not printable ASCII is escaped.
[[nodiscard]] std::string counters_table(std::span<const RuleSnapshot> rules);

}  // namespace sluice::forward
