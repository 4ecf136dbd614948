#include "forward/target/balancer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <string_view>

#include "base/prng.h"
#include "base/siphash.h"
#include "base/unreachable.h"

namespace sluice::forward {
namespace {

// Fixed: every worker, every process after an upgrade and every machine with the same targets
// sends a client to the same one.
constexpr SipKey kIdentityKey{.k0 = 0x736c'7569'6365'2074, .k1 = 0x6172'6765'7473'2031};

[[nodiscard]] ByteView bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// Weighted rendezvous hashing (Schindelhauer and Schomaker, 2005): each target draws a number from
// the client and its own name, and the largest wins. A target that goes takes only its own
// clients with it, as the others' numbers stay. -weight / ln(uniform) wins in proportion to the
// weight.
[[nodiscard]] double score(std::uint64_t identity, std::int64_t weight, std::uint64_t client) {
  // 53 bits, as many as a double has, and half a step: never 0 or 1.
  const std::uint64_t draw = Prng(identity ^ client).next() >> 11;
  const double uniform = (static_cast<double>(draw) + 0.5) * 0x1p-53;
  return -static_cast<double>(weight) / std::log(uniform);
}

}  // namespace

Balancer::Balancer(const Rule& rule) : balance_(rule.balance) {
  std::map<std::string, unsigned> seen;
  shares_.reserve(rule.targets.size());
  for (const Target& target : rule.targets) {
    std::string name = to_string(target.place);
    // The same target listed twice is two targets, each with a share of the clients.
    if (const unsigned before = seen[name]++; before != 0) name += ' ' + std::to_string(before);
    shares_.push_back({.identity = siphash(kIdentityKey, bytes_of(name)),
                       .weight = std::max<std::int64_t>(target.weight, 1),
                       .credit = 0});
  }
}

std::uint32_t Balancer::choose(std::span<const Candidate> candidates,
                               const wire::IpAddress& client) {
  if (candidates.size() == 1) return candidates.front().target;
  switch (balance_) {
    case Balance::kRoundRobin: return by_turns(candidates);
    case Balance::kLeastConnections: return by_load(candidates);
    case Balance::kClientHash: return by_client(candidates, client);
  }
  unreachable("balance outside its enum");
}

// Each turn everyone earns its weight, and the richest is chosen and pays what all earned. So a
// target of weight 5 among 1 and 1 comes as A A B A C A A, not five times in a row.
std::uint32_t Balancer::by_turns(std::span<const Candidate> candidates) {
  std::int64_t earned = 0;
  std::uint32_t richest = candidates.front().target;
  for (const Candidate& candidate : candidates) {
    Share& share = shares_[candidate.target];
    share.credit += share.weight;
    earned += share.weight;
    if (share.credit > shares_[richest].credit) richest = candidate.target;
  }
  shares_[richest].credit -= earned;
  return richest;
}

// The fewest sessions for its weight; those alike take turns, or the first would get every session
// of a rule that rarely has two.
std::uint32_t Balancer::by_load(std::span<const Candidate> candidates) {
  least_loaded_.clear();
  for (const Candidate& candidate : candidates) {
    if (!least_loaded_.empty()) {
      const Candidate& best = least_loaded_.front();
      // active / weight compared without a division.
      const std::int64_t mine = candidate.active * shares_[best.target].weight;
      const std::int64_t theirs = best.active * shares_[candidate.target].weight;
      if (mine > theirs) continue;
      if (mine < theirs) least_loaded_.clear();
    }
    least_loaded_.push_back(candidate);
  }
  return by_turns(least_loaded_);
}

std::uint32_t Balancer::by_client(std::span<const Candidate> candidates,
                                  const wire::IpAddress& client) const {
  const std::uint64_t hashed = siphash(kIdentityKey, client.octets());
  std::uint32_t best = candidates.front().target;
  double best_score = -1;
  for (const Candidate& candidate : candidates) {
    const Share& share = shares_[candidate.target];
    const double mine = score(share.identity, share.weight, hashed);
    if (mine > best_score) {
      best_score = mine;
      best = candidate.target;
    }
  }
  return best;
}

}  // namespace sluice::forward
