// Which of several targets gets the next session. Pure: it knows weights and names of targets, not
// whether they work. Not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "forward/plan.h"
#include "wire/address.h"

namespace sluice::forward {

// A target that may be chosen now.
struct Candidate {
  std::uint32_t target = 0;  // Position in Rule::targets.
  std::uint32_t active = 0;  // Sessions that it has.
};

class Balancer {
 public:
  explicit Balancer(const Rule& rule);

  // The chosen one's position in Rule::targets. `candidates` is not empty. A weight of zero counts
  // as one among candidates, since backups only compete with each other.
  [[nodiscard]] std::uint32_t choose(std::span<const Candidate> candidates,
                                     const wire::IpAddress& client);

 private:
  struct Share {
    std::uint64_t identity = 0;  // A hash of what the target is, the same in every process.
    std::int64_t weight = 1;
    std::int64_t credit = 0;  // Of round robin.
  };

  [[nodiscard]] std::uint32_t by_turns(std::span<const Candidate> candidates);
  [[nodiscard]] std::uint32_t by_load(std::span<const Candidate> candidates);
  [[nodiscard]] std::uint32_t by_client(std::span<const Candidate> candidates,
                                        const wire::IpAddress& client) const;

  Balance balance_;
  std::vector<Share> shares_;
  std::vector<Candidate> least_loaded_;  // Kept to spare an allocation for each session.
};

}  // namespace sluice::forward
