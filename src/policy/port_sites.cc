#include "policy/port_sites.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace sluice::policy {
namespace {

constexpr std::uint32_t kPortsEnd = 65'536;

bool speaks_of(const PortSites::Entry& entry, Protocol protocol) {
  if (protocol == Protocol::kIcmp && !entry.ports.empty()) return false;
  return !entry.protocol || *entry.protocol == protocol;
}

}  // namespace

std::uint32_t PortSites::add(std::span<const Entry> ranked) {
  std::array<Lane, kProtocolCount> lanes{};
  const auto lane = [&](Protocol protocol) -> Lane& {
    return lanes[static_cast<std::size_t>(protocol)];
  };
  lane(Protocol::kTcp) = add_lane(ranked, Protocol::kTcp);
  // Most rules name no protocol, and then two are alike.
  const bool alike = std::ranges::all_of(ranked, [](const Entry& e) {
    return speaks_of(e, Protocol::kTcp) == speaks_of(e, Protocol::kUdp);
  });
  lane(Protocol::kUdp) = alike ? lane(Protocol::kTcp) : add_lane(ranked, Protocol::kUdp);
  lane(Protocol::kIcmp) = add_lane(ranked, Protocol::kIcmp);
  sites_.push_back(lanes);
  return static_cast<std::uint32_t>(sites_.size() - 1);
}

PortSites::Lane PortSites::add_lane(std::span<const Entry> ranked, Protocol protocol) {
  const std::size_t begin = intervals_.size();
  edges_.clear();
  std::uint32_t fallback = kNone;
  for (std::uint32_t i = 0; i < ranked.size(); ++i) {
    if (!speaks_of(ranked[i], protocol)) continue;
    // What comes behind it is less specific, and all ports are taken.
    if (ranked[i].ports.empty()) {
      fallback = ranked[i].rule;
      break;
    }
    for (const PortRange& range : ranked[i].ports) {
      edges_.push_back({range.first, true, i});
      edges_.push_back({std::uint32_t{range.last} + 1, false, i});
    }
  }
  intervals_.push_back({0, fallback});
  sweep(ranked, fallback);
  return {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(intervals_.size())};
}

void PortSites::sweep(std::span<const Entry> ranked, std::uint32_t fallback) {
  std::sort(edges_.begin(), edges_.end(),
            [](const Edge& a, const Edge& b) { return a.position < b.position; });
  std::set<std::uint32_t> open;
  for (std::size_t i = 0; i < edges_.size();) {
    const std::uint32_t position = edges_[i].position;
    for (; i < edges_.size() && edges_[i].position == position; ++i) {
      if (edges_[i].opens) {
        open.insert(edges_[i].rank);
      } else {
        open.erase(edges_[i].rank);
      }
    }
    if (position == kPortsEnd) break;
    append(position, open.empty() ? fallback : ranked[*open.begin()].rule);
  }
}

void PortSites::append(std::uint32_t first, std::uint32_t rule) {
  Interval& last = intervals_.back();
  if (last.rule == rule) return;
  if (last.first == first) {
    last.rule = rule;
    return;
  }
  intervals_.push_back({static_cast<std::uint16_t>(first), rule});
}

std::span<const PortSites::Interval> PortSites::intervals(std::uint32_t site,
                                                          Protocol protocol) const {
  const Lane& lane = sites_[site][static_cast<std::size_t>(protocol)];
  return std::span(intervals_).subspan(lane.begin, lane.end - lane.begin);
}

std::uint32_t PortSites::find(std::uint32_t site, Protocol protocol, wire::Port port) const {
  const std::span<const Interval> lane = intervals(site, protocol);
  if (lane.size() == 1) return lane.front().rule;
  const auto after = std::upper_bound(
      lane.begin(), lane.end(), port.value,
      [](std::uint16_t p, const Interval& interval) { return p < interval.first; });
  return std::prev(after)->rule;
}

}  // namespace sluice::policy
