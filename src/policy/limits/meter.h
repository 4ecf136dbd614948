// Measures what flows carry against a limit (traffic_limit.h): one meter for all flows of a rule,
// and one for all of a run, which stands outside of these. Several threads use a meter, without a
// lock; time is an argument, and theirs may differ a little.
//
// Bytes are claimed before they move and settled behind that, so that a quota is kept to the byte
// whoever else draws on it. What is claimed and not used comes back. Of a rate nothing is held:
// threads that come at the same moment may make a debt together, which is paid before anybody gets
// more.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"
#include "policy/limits/token_bucket.h"
#include "policy/limits/traffic_limit.h"

namespace sluice::policy {

// What has passed, whatever the limit was at that time: it is kept when a limit changes.
struct Passed {
  std::atomic<std::uint64_t> used{0};     // Bytes that have passed.
  std::atomic<std::uint64_t> claimed{0};  // These, and those that are about to.
};

struct MeterUse {
  explicit MeterUse(std::string rule_id) : id(std::move(rule_id)) {}

  std::string id;  // Of the rule; empty: of the run.
  Passed to_host;
  Passed from_host;
  std::atomic<std::uint32_t> flows{0};    // That count now.
  std::atomic<std::uint64_t> refused{0};  // Flows that found no place, or nothing left.
  std::atomic<std::uint64_t> ended{0};    // Flows that were ended as nothing was left.
};

// One way of a meter.
class Lane {
 public:
  // `passed` and `outer` are not owned; null: there is no lane around it.
  Lane(Passed& passed, const TrafficLimit::Way& limit, Lane* outer);

  // How many of `wanted` bytes may pass at `now`. Each claim is to be settled.
  [[nodiscard]] std::size_t claim(std::size_t wanted, Instant now);
  // So many bytes of a claim have passed, and the rest will not.
  void settle(std::size_t claimed, std::size_t used, Instant now);
  // The same at once and of all or nothing, for what does not wait. What is larger than a rate ever
  // gives at a time passes where anything is there.
  enum class Pass : std::uint8_t { kPasses, kOverRate, kUsedUp };
  [[nodiscard]] Pass pass(std::size_t bytes, Instant now);
  // Nothing will pass any more: the bytes of a quota are used up.
  [[nodiscard]] bool used_up() const;
  [[nodiscard]] bool has_rate() const;
  // Where a claim was given nothing and the lane is not used up: when to claim again.
  [[nodiscard]] Instant ready_at(Instant now) const;

 private:
  [[nodiscard]] std::size_t hold(std::size_t wanted);

  Passed* passed_;
  std::uint64_t bytes_;
  std::optional<TokenBucket> bucket_;
  Lane* outer_;
};

class Meter {
 public:
  // `use` and `outer` are not owned; null: there is no meter around it.
  Meter(MeterUse& use, const TrafficLimit& limit, Meter* outer)
      : use_(&use),
        limit_(limit),
        outer_(outer),
        to_host_(use.to_host, limit.to_host, outer == nullptr ? nullptr : &outer->to_host_),
        from_host_(use.from_host, limit.from_host,
                   outer == nullptr ? nullptr : &outer->from_host_) {}

  [[nodiscard]] Lane& to_host() { return to_host_; }
  [[nodiscard]] Lane& from_host() { return from_host_; }
  // Of either way.
  [[nodiscard]] bool used_up() const { return to_host_.used_up() || from_host_.used_up(); }

  // A flow begins, and counts until leave(). False, which is counted: there are as many as may be,
  // or nothing is left for it.
  [[nodiscard]] bool enter();
  void leave() { use_->flows.fetch_sub(1, std::memory_order_relaxed); }
  // A flow that lives comes from another meter: it counts, however many there are.
  void join() { use_->flows.fetch_add(1, std::memory_order_relaxed); }
  // A flow ends as nothing is left.
  void note_ended() { use_->ended.fetch_add(1, std::memory_order_relaxed); }

  [[nodiscard]] const MeterUse& use() const { return *use_; }
  [[nodiscard]] const TrafficLimit& limit() const { return limit_; }
  [[nodiscard]] const Meter* outer() const { return outer_; }

 private:
  MeterUse* use_;
  TrafficLimit limit_;
  Meter* outer_;
  Lane to_host_;
  Lane from_host_;
};

}  // namespace sluice::policy
