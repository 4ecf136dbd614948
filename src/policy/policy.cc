#include "policy/policy.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <set>
#include <tuple>

namespace sluice::policy {
namespace {

constexpr std::uint32_t kNoRule = PrefixIndex::kNone;
constexpr std::uint32_t kPortsEnd = 65'536;

constexpr wire::IpAddress v6_of(const std::array<std::uint8_t, 16>& octets) {
  return wire::IpAddress::v6(FixedView<16>(octets));
}

constexpr std::array kDefaultDenials{
    wire::Prefix{wire::IpAddress::v4(0xa9fe'0000), 16},  // 169.254.0.0/16
    wire::Prefix{wire::IpAddress::v4(0x6464'64c8), 32},  // 100.100.100.200, Alibaba
    wire::Prefix{wire::IpAddress::v4(0xa83f'8110), 32},  // 168.63.129.16, Azure
    wire::Prefix{wire::IpAddress::v4(0xc000'00c0), 32},  // 192.0.0.192, Oracle
    wire::Prefix{v6_of({0xfe, 0x80}), 10},
    // fd00:ec2::/32, AWS: of machines ::254, of pods ::23.
    wire::Prefix{v6_of({0xfd, 0x00, 0x0e, 0xc2}), 32},
    // fd20:ce::254, Google.
    wire::Prefix{v6_of({0xfd, 0x20, 0, 0xce, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}), 128},
    // fd00:c1::a9fe:a9fe, Oracle.
    wire::Prefix{v6_of({0xfd, 0, 0, 0xc1, 0, 0, 0, 0, 0, 0, 0, 0, 0xa9, 0xfe, 0xa9, 0xfe}), 128}};

// One end of a port range of a rule. Rules are known by their rank: lower wins.
struct Edge {
  std::uint32_t position = 0;
  bool opens = false;
  std::uint32_t rank = 0;
};

}  // namespace

Policy::Policy(std::span<const Rule> deny, std::span<const Rule> allow, DefaultDenials defaults) {
  rules_.reserve(deny.size() + allow.size() + kDefaultDenials.size());
  for (const Rule& rule : deny) rules_.push_back({rule, Action::kDeny, Origin::kUser});
  for (const Rule& rule : allow) rules_.push_back({rule, Action::kAllow, Origin::kUser});
  if (defaults == DefaultDenials::kOn) {
    for (const wire::Prefix& prefix : kDefaultDenials) {
      rules_.push_back({Rule{prefix, {}}, Action::kDeny, Origin::kDefault});
    }
  }

  std::vector<std::uint32_t> ranked(rules_.size());
  std::iota(ranked.begin(), ranked.end(), 0U);
  const auto rank = [&](std::uint32_t i) {
    const PolicyRule& r = rules_[i];
    return std::tuple(r.rule.prefix.address, r.rule.prefix.length, r.rule.port_count(),
                      r.action != Action::kAllow, i);
  };
  std::sort(ranked.begin(), ranked.end(),
            [&](std::uint32_t a, std::uint32_t b) { return rank(a) < rank(b); });

  std::vector<wire::Prefix> prefixes;
  for (std::size_t begin = 0; begin < ranked.size();) {
    const wire::Prefix& prefix = rules_[ranked[begin]].rule.prefix;
    std::size_t end = begin + 1;
    while (end < ranked.size() && rules_[ranked[end]].rule.prefix == prefix) ++end;
    prefixes.push_back(prefix);
    add_site(std::span(ranked).subspan(begin, end - begin));
    begin = end;
  }
  index_ = PrefixIndex(prefixes);
}

// `ranked` has all rules of one prefix, the most specific first, so those without ports come last.
void Policy::add_site(std::span<const std::uint32_t> ranked) {
  Site site{kNoRule, static_cast<std::uint32_t>(intervals_.size()), 0};
  std::vector<Edge> edges;
  for (std::uint32_t i = 0; i < ranked.size(); ++i) {
    const Rule& rule = rules_[ranked[i]].rule;
    if (!rule.names_ports()) {
      site.any_port_rule = ranked[i];
      break;
    }
    for (const PortRange& range : rule.ports) {
      edges.push_back({range.first, true, i});
      edges.push_back({std::uint32_t{range.last} + 1, false, i});
    }
  }
  std::sort(edges.begin(), edges.end(),
            [](const Edge& a, const Edge& b) { return a.position < b.position; });

  std::set<std::uint32_t> open;
  if (!edges.empty()) intervals_.push_back({0, site.any_port_rule});
  for (std::size_t i = 0; i < edges.size();) {
    const std::uint32_t position = edges[i].position;
    for (; i < edges.size() && edges[i].position == position; ++i) {
      if (edges[i].opens) {
        open.insert(edges[i].rank);
      } else {
        open.erase(edges[i].rank);
      }
    }
    if (position == kPortsEnd) break;
    const std::uint32_t rule = open.empty() ? site.any_port_rule : ranked[*open.begin()];
    if (intervals_.back().rule != rule) {
      intervals_.push_back({static_cast<std::uint16_t>(position), rule});
    }
  }
  site.intervals_end = static_cast<std::uint32_t>(intervals_.size());
  sites_.push_back(site);
}

std::uint32_t Policy::rule_at(const Site& site, Protocol protocol, wire::Port port) const {
  if (protocol == Protocol::kIcmp || site.intervals_begin == site.intervals_end) {
    return site.any_port_rule;
  }
  const auto begin = intervals_.begin() + site.intervals_begin;
  const auto end = intervals_.begin() + site.intervals_end;
  const auto after = std::upper_bound(
      begin, end, port.value,
      [](std::uint16_t p, const PortInterval& interval) { return p < interval.first; });
  return std::prev(after)->rule;
}

Decision Policy::decide(Protocol protocol, const wire::Endpoint& target) const {
  for (std::uint32_t i = index_.find(target.address); i != PrefixIndex::kNone;
       i = index_.enclosing(i)) {
    const std::uint32_t found = rule_at(sites_[i], protocol, target.port);
    if (found == kNoRule) continue;
    const PolicyRule& rule = rules_[found];
    return {rule.action == Action::kAllow ? Verdict::kAccepted : Verdict::kDeniedByPolicy, &rule};
  }
  return {};
}

}  // namespace sluice::policy
