#include "policy/egress/name_index.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "base/hash.h"

namespace sluice::policy {
namespace {

// The number of the node, how many letters stand before the star, these, and those behind it.
constexpr std::size_t kGlobKeyMax = 4 + 1 + wire::kLabelSizeMax;

struct GlobKey {
  std::array<std::uint8_t, kGlobKeyMax> bytes{};
  std::size_t size = 0;

  GlobKey(std::uint32_t node, ByteView before, ByteView behind) {
    std::memcpy(bytes.data(), &node, sizeof node);
    bytes[4] = static_cast<std::uint8_t>(before.size());
    const auto middle = std::ranges::copy(before, bytes.begin() + 5).out;
    size = static_cast<std::size_t>(std::ranges::copy(behind, middle).out - bytes.begin());
  }
  [[nodiscard]] ByteView view() const { return ByteView(bytes).first(size); }
  [[nodiscard]] std::uint64_t hash() const { return KeyedHash(HashSecret{})(view()); }
};

ByteView octets_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

NameIndex::NameIndex(std::span<const Rule> rules) {
  rules_.reserve(rules.size());
  std::vector<Placement> placements;
  placements.reserve(rules.size());
  std::vector<GlobOfNode> globs;
  for (const Rule& rule : rules) {
    const auto place = static_cast<std::uint32_t>(rules_.size());
    rules_.push_back(rule.ruled);
    const NamePattern& pattern = *rule.pattern;
    const std::uint32_t node = add_nodes(pattern, rule.ruled.effect != Effect::kDeny);
    switch (pattern.kind()) {
      case NamePattern::Kind::kExact: placements.push_back({Slot::kExact, node, place}); break;
      case NamePattern::Kind::kGlob:
        placements.push_back({Slot::kGlob, add_glob(pattern, node, globs), place});
        break;
      case NamePattern::Kind::kWithin:
        placements.push_back({Slot::kApex, node, place});
        [[fallthrough]];
      case NamePattern::Kind::kBelow:
      case NamePattern::Kind::kAny: placements.push_back({Slot::kBelow, node, place}); break;
    }
  }
  add_sites(rules, placements);
  add_shapes(globs);
}

std::uint32_t NameIndex::add_nodes(const NamePattern& pattern, bool allows) {
  const NamePath path(pattern.base());
  std::uint64_t hash = NamePath::kRootHash;
  std::uint32_t node = kNone;
  for (std::size_t i = path.labels() + 1; i-- > 0;) {
    if (i < path.labels()) hash = path.hash(i, hash);
    node = node_keys_.insert(hash, path.suffix(i));
    if (node == nodes_.size()) nodes_.push_back({});
    const bool is_above = i > 0 || pattern.kind() != NamePattern::Kind::kExact;
    if (allows && is_above) nodes_[node].above_allowed = true;
  }
  return node;
}

std::uint32_t NameIndex::add_glob(const NamePattern& pattern, std::uint32_t node,
                                  std::vector<GlobOfNode>& globs) {
  const ByteView before = octets_of(pattern.before_star());
  const ByteView behind = octets_of(pattern.behind_star());
  const GlobKey key(node, before, behind);
  const std::uint32_t number = glob_keys_.insert(key.hash(), key.view());
  if (number == glob_sites_.size()) {
    glob_sites_.push_back(kNone);
    globs.push_back(
        {node,
         {static_cast<std::uint8_t>(before.size()), static_cast<std::uint8_t>(behind.size())}});
  }
  return number;
}

std::uint32_t& NameIndex::site_of(const Placement& placement) {
  switch (placement.slot) {
    case Slot::kExact: return nodes_[placement.owner].exact_site;
    case Slot::kApex: return nodes_[placement.owner].apex_site;
    case Slot::kBelow: return nodes_[placement.owner].below_site;
    case Slot::kGlob: return glob_sites_[placement.owner];
  }
  unreachable("slot outside its enum");
}

void NameIndex::add_sites(std::span<const Rule> rules, std::vector<Placement>& placements) {
  const auto site = [](const Placement& p) { return std::tuple(p.slot, p.owner); };
  const auto rank = [&](const Placement& p) {
    const Rule& rule = rules[p.rule];
    return std::tuple(p.slot, p.owner, rule.scope.ports_written, !rule.scope.protocol_written,
                      -static_cast<int>(rule.ruled.effect), p.rule);
  };
  std::ranges::sort(placements, {}, rank);
  std::vector<PortSites::Entry> entries;
  for (auto at = placements.begin(); at != placements.end();) {
    const Placement first = *at;
    entries.clear();
    for (; at != placements.end() && site(*at) == site(first); ++at) {
      const PortScope& scope = rules[at->rule].scope;
      entries.push_back({scope.ports, scope.protocol, at->rule});
    }
    site_of(first) = ports_.add(entries);
  }
}

void NameIndex::add_shapes(std::vector<GlobOfNode>& globs) {
  const auto rank = [](const GlobOfNode& g) {
    return std::tuple(g.node, -int{g.shape.before} - int{g.shape.behind}, -int{g.shape.before});
  };
  std::ranges::sort(globs, {}, rank);
  const auto repeated = std::ranges::unique(globs, {}, rank);
  globs.erase(repeated.begin(), repeated.end());
  for (const GlobOfNode& glob : globs) {
    Node& node = nodes_[glob.node];
    if (node.shapes_end == 0) node.shapes_begin = static_cast<std::uint32_t>(shapes_.size());
    shapes_.push_back(glob.shape);
    node.shapes_end = static_cast<std::uint32_t>(shapes_.size());
  }
}

NameIndex::Walk NameIndex::walk(const NamePath& path) const {
  Walk walk;
  walk.first = path.labels() + 1;
  std::uint64_t hash = NamePath::kRootHash;
  for (std::size_t i = path.labels() + 1; i-- > 0;) {
    if (i < path.labels()) hash = path.hash(i, hash);
    const std::uint32_t node = node_keys_.find(hash, path.suffix(i));
    // All suffixes of a pattern are in the trie, so nothing longer is.
    if (node == kNone) break;
    walk.nodes[i] = node;
    walk.first = i;
  }
  return walk;
}

std::uint32_t NameIndex::glob_site(std::uint32_t node, ByteView label, Shape shape) const {
  if (label.size() < std::size_t{shape.before} + shape.behind) return kNone;
  const GlobKey key(node, label.first(shape.before), label.last(shape.behind));
  const std::uint32_t number = glob_keys_.find(key.hash(), key.view());
  return number == kNone ? kNone : glob_sites_[number];
}

template <typename Visit>
bool NameIndex::visit_globs(std::uint32_t node, ByteView label, const Visit& visit) const {
  for (std::uint32_t i = nodes_[node].shapes_begin; i < nodes_[node].shapes_end; ++i) {
    const std::uint32_t site = glob_site(node, label, shapes_[i]);
    if (site != kNone && visit(site)) return true;
  }
  return false;
}

template <typename Visit>
bool NameIndex::visit_below(const Walk& walk, std::size_t from, std::size_t labels,
                            const Visit& visit) const {
  for (std::size_t i = std::max(from, walk.first); i <= labels; ++i) {
    const std::uint32_t site = nodes_[walk.nodes[i]].below_site;
    if (site != kNone && visit(site)) return true;
  }
  return false;
}

template <typename Visit>
bool NameIndex::visit_all(const NamePath& path, const Walk& walk, const Visit& visit) const {
  const bool whole = walk.first == 0;
  if (whole) {
    const std::uint32_t site = nodes_[walk.nodes[0]].exact_site;
    if (site != kNone && visit(site)) return true;
  }
  if (path.labels() > 0 && walk.first <= 1 && visit_globs(walk.nodes[1], path.label(0), visit)) {
    return true;
  }
  if (whole) {
    const std::uint32_t site = nodes_[walk.nodes[0]].apex_site;
    if (site != kNone && visit(site)) return true;
  }
  return visit_below(walk, 1, path.labels(), visit);
}

std::optional<Ruled> NameIndex::find(const wire::DomainName& name, Protocol protocol,
                                     wire::Port port) const {
  const NamePath path(name);
  std::optional<Ruled> ruled;
  visit_all(path, walk(path), [&](std::uint32_t site) {
    const std::uint32_t rule = ports_.find(site, protocol, port);
    if (rule == PortSites::kNone) return false;
    ruled = rules_[rule];
    return true;
  });
  return ruled;
}

bool NameIndex::any(const wire::DomainName& name) const {
  const NamePath path(name);
  return visit_all(path, walk(path), [](std::uint32_t) { return true; });
}

template <typename Sites>
Ruled NameIndex::most_permissive_of(const Sites& sites, Ruled otherwise) const {
  const auto at = [&](Protocol protocol, wire::Port port) {
    Ruled ruled = otherwise;
    sites([&](std::uint32_t site) {
      const std::uint32_t rule = ports_.find(site, protocol, port);
      if (rule != PortSites::kNone) ruled = rules_[rule];
      return rule != PortSites::kNone;
    });
    return ruled;
  };
  // What decides changes only where an interval of one of the sites begins.
  Ruled best = at(Protocol::kTcp, wire::Port{443});
  sites([&](std::uint32_t site) {
    for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp, Protocol::kIcmp}) {
      for (const PortSites::Interval& interval : ports_.intervals(site, protocol)) {
        const Ruled ruled = at(protocol, wire::Port{interval.first});
        if (ruled.effect < best.effect) best = ruled;
        if (best.effect == Effect::kAllow) return true;
      }
    }
    return false;
  });
  return best;
}

Ruled NameIndex::most_permissive(const wire::DomainName& name, Ruled otherwise) const {
  const NamePath path(name);
  const Walk walked = walk(path);
  return most_permissive_of([&](const auto& visit) { visit_all(path, walked, visit); }, otherwise);
}

Ruled NameIndex::most_permissive_below(const wire::DomainName& name, Ruled otherwise) const {
  const NamePath path(name);
  const Walk walked = walk(path);
  return most_permissive_of(
      [&](const auto& visit) { visit_below(walked, 0, path.labels(), visit); }, otherwise);
}

bool NameIndex::above_allowed(const wire::DomainName& name) const {
  const NamePath path(name);
  const Walk walked = walk(path);
  return walked.first == 0 && nodes_[walked.nodes[0]].above_allowed;
}

}  // namespace sluice::policy
