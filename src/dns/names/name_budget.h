// How many names below one domain a guest may ask for in a while, where a wildcard allows them all:
// each such question carries labels of the guest's choice to whoever serves the domain. Names are
// counted once, however often they are asked for, and with the bytes of their labels, whatever
// these look like.
//
// Bounded: at the bound of domains a further one has nothing to spend. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <unordered_set>

#include "base/siphash.h"
#include "base/time.h"
#include "wire/messages/domain_name.h"

namespace sluice::dns {

struct BudgetLimits {
  std::uint32_t names = 120;
  std::uint32_t bytes = 8192;
  Duration per = std::chrono::minutes{10};
};

class NameBudget {
 public:
  static constexpr std::size_t kDomainsMax = 4096;
  // Over all domains.
  static constexpr std::size_t kNamesMax = 65'536;

  explicit NameBudget(const SipKey& key) : key_(key) {}

  // Whether `name`, which is below `domain`, may be asked for; if so, it is counted.
  [[nodiscard]] bool spend(const wire::DomainName& domain, const wire::DomainName& name,
                           const BudgetLimits& limits, Instant now);

  [[nodiscard]] std::size_t domains() const { return windows_.size(); }

 private:
  struct Window {
    Instant ends{};
    std::uint64_t bytes = 0;
    std::unordered_set<std::uint64_t> names;
  };

  [[nodiscard]] std::uint64_t digest(const wire::DomainName& name) const;
  void forget_old(Instant now);

  SipKey key_;
  std::unordered_map<std::uint64_t, Window> windows_;
  std::size_t names_ = 0;
};

}  // namespace sluice::dns
