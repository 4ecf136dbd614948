// The meters of a guest: one for each rule that has a limit, by the rule's id, and one for the run.
// What has passed stays when the policy changes: a rule that keeps its id goes on from there.
//
// bind() is for one thread, which waits for the others: until they have taken the new table over
// they use meters of the one before, which stay for so long.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "policy/effect.h"
#include "policy/egress/egress_policy.h"
#include "policy/limits/meter.h"

namespace sluice::policy {

// Which meter a flow counts for. Borrows from the book.
class MeterTable {
 public:
  [[nodiscard]] bool any() const { return run_ != nullptr || !rules_.empty(); }
  // Of a flow that this rule lets through; null: none.
  [[nodiscard]] Meter* of(RuleId rule) const;
  // Of a flow that no rule speaks of.
  [[nodiscard]] Meter* of_run() const { return run_; }
  [[nodiscard]] const std::vector<std::pair<std::uint32_t, Meter*>>& of_rules() const {
    return rules_;
  }

 private:
  friend class MeterBook;

  std::vector<std::pair<std::uint32_t, Meter*>> rules_;  // By place in the policy, which grows.
  Meter* run_ = nullptr;
};

class MeterBook {
 public:
  // From here on table() is of this policy.
  void bind(const EgressPolicy& policy);
  [[nodiscard]] const MeterTable& table() const { return table_; }

 private:
  struct Entry {
    explicit Entry(std::string id) : use(std::move(id)) {}

    MeterUse use;
    std::unique_ptr<Meter> meter;
    std::unique_ptr<Meter> before;  // In use by those who have not heard yet.
  };

  [[nodiscard]] Meter* meter_for(const std::string& id, const TrafficLimit& limit, Meter* outer);

  std::unordered_map<std::string, Entry> entries_;  // By id; that of the run is empty.
  MeterTable table_;
};

}  // namespace sluice::policy
