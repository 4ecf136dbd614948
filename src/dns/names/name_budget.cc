#include "dns/names/name_budget.h"

#include <algorithm>
#include <array>

namespace sluice::dns {

std::uint64_t NameBudget::digest(const wire::DomainName& name) const {
  std::array<std::uint8_t, wire::kDomainNameSizeMax> octets{};
  // Lengths of labels are below 'A', so folding whole names leaves them alone.
  std::ranges::transform(name.wire(), octets.begin(), [](std::uint8_t octet) {
    return octet >= 'A' && octet <= 'Z' ? static_cast<std::uint8_t>(octet | 0x20) : octet;
  });
  return siphash(key_, ByteView(octets).first(name.wire().size()));
}

bool NameBudget::spend(const wire::DomainName& domain, const wire::DomainName& name,
                       const BudgetLimits& limits, Instant now) {
  const std::uint64_t key = digest(domain);
  auto at = windows_.find(key);
  if (at == windows_.end() || now >= at->second.ends) {
    if (at == windows_.end() && windows_.size() >= kDomainsMax) forget_old(now);
    if (at == windows_.end() && windows_.size() >= kDomainsMax) return false;
    Window& window = windows_[key];
    names_ -= window.names.size();
    window = Window{.ends = now + limits.per, .bytes = 0, .names = {}};
    at = windows_.find(key);
  }
  Window& window = at->second;
  const std::uint64_t asked = digest(name);
  if (window.names.contains(asked)) return true;
  const std::size_t bytes = name.wire().size() - std::min(name.wire().size(), domain.wire().size());
  if (window.names.size() >= limits.names || window.bytes + bytes > limits.bytes) return false;
  if (names_ >= kNamesMax) forget_old(now);
  if (names_ >= kNamesMax) return false;
  window.names.insert(asked);
  window.bytes += bytes;
  ++names_;
  return true;
}

// But not the windows that last yet: who fills them all waits for their end.
void NameBudget::forget_old(Instant now) {
  std::erase_if(windows_, [&](const auto& window) {
    if (now < window.second.ends) return false;
    names_ -= window.second.names.size();
    return true;
  });
}

}  // namespace sluice::dns
