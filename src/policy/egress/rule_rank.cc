#include "policy/egress/rule_rank.h"

#include <algorithm>
#include <compare>
#include <cstdint>
#include <variant>

namespace sluice::policy {
namespace {

// Less is more specific; names before addresses.
struct Rank {
  bool is_address = false;
  int kind = 0;
  int width = 0;
  std::uint32_t ports = 0;
  bool any_protocol = false;
  int effect = 0;
  std::size_t place = 0;
  friend auto operator<=>(const Rank&, const Rank&) = default;
};

int kind_of(const NamePattern& pattern) {
  switch (pattern.kind()) {
    case NamePattern::Kind::kExact: return 0;
    case NamePattern::Kind::kGlob: return 1;
    case NamePattern::Kind::kBelow:
    case NamePattern::Kind::kWithin: return 2;
    case NamePattern::Kind::kAny: return 3;
  }
  unreachable("kind outside its enum");
}

int width_of(const NamePattern& pattern) {
  const auto letters = pattern.kind() == NamePattern::Kind::kGlob
                           ? pattern.before_star().size() + pattern.behind_star().size()
                           : pattern.base().wire().size();
  return -static_cast<int>(letters);
}

// By the share of their family's addresses; groups by their widest prefix.
int width_of(const wire::Prefix& prefix) {
  return (prefix.address.is_v4() ? 32 : 128) - int{prefix.length};
}

int width_of(AddressGroup group) {
  switch (group) {
    case AddressGroup::kPublic: return 127;
    case AddressGroup::kHost:
    case AddressGroup::kGateway:
    case AddressGroup::kLoopback: return 0;
    case AddressGroup::kPrivate:
    case AddressGroup::kLinkLocal:
    case AddressGroup::kMetadata: break;
  }
  int widest = 0;
  for (const wire::Prefix& prefix : prefixes_of(group)) {
    widest = std::max(widest, prefix.address.is_v4() ? width_of(prefix) : 0);
  }
  return widest;
}

Rank rank_of(const DraftRule& rule, std::size_t place) {
  const PortScope scope = scope_of(rule.target, rule.rule.effect);
  Rank rank{.ports = scope.ports_written,
            .any_protocol = !scope.protocol_written,
            .effect = -static_cast<int>(rule.rule.effect),
            .place = place};
  if (const NamePattern* pattern = rule.target.name()) {
    rank.kind = kind_of(*pattern);
    rank.width = width_of(*pattern);
    return rank;
  }
  rank.is_address = true;
  if (const auto* prefix = std::get_if<wire::Prefix>(&rule.target.subject)) {
    rank.width = width_of(*prefix);
  } else {
    rank.width = width_of(std::get<AddressGroup>(rule.target.subject));
  }
  return rank;
}

}  // namespace

std::vector<std::size_t> ranked_places(const EgressDraft& draft) {
  std::vector<Rank> ranked;
  ranked.reserve(draft.rules.size());
  for (const DraftRule& rule : draft.rules) ranked.push_back(rank_of(rule, ranked.size()));
  std::ranges::sort(ranked);
  std::vector<std::size_t> places;
  places.reserve(ranked.size());
  for (const Rank& rank : ranked) places.push_back(rank.place);
  return places;
}

}  // namespace sluice::policy
