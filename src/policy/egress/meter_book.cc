#include "policy/egress/meter_book.h"

#include <algorithm>

namespace sluice::policy {

Meter* MeterTable::of(RuleId rule) const {
  const auto found =
      std::ranges::lower_bound(rules_, rule.value, {}, &std::pair<std::uint32_t, Meter*>::first);
  return found != rules_.end() && found->first == rule.value ? found->second : run_;
}

Meter* MeterBook::meter_for(const std::string& id, const TrafficLimit& limit, Meter* outer) {
  Entry& entry = entries_.try_emplace(id, id).first->second;
  if (entry.meter != nullptr) return entry.meter.get();  // Several targets of a rule share one.
  // Where nothing has changed, what its rate has given stays, too.
  const Meter* const before = entry.before.get();
  const bool same = before != nullptr && before->limit() == limit && before->outer() == outer;
  entry.meter = same ? std::move(entry.before) : std::make_unique<Meter>(entry.use, limit, outer);
  return entry.meter.get();
}

void MeterBook::bind(const EgressPolicy& policy) {
  for (auto& [id, entry] : entries_) entry.before = std::exchange(entry.meter, nullptr);
  table_ = {};
  if (policy.limit().any()) table_.run_ = meter_for({}, policy.limit(), nullptr);
  const auto rules = policy.rules();
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const std::optional<TrafficLimit>& limit = rules[i].limit;
    if (!limit || !limit->any()) continue;
    table_.rules_.emplace_back(static_cast<std::uint32_t>(i),
                               meter_for(rules[i].id, *limit, table_.run_));
  }
}

}  // namespace sluice::policy
