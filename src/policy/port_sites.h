// Rules that speak of one target (an address range, a pattern of names) and differ in ports and
// protocols: which of them decides. A decision is a search by halving in one array.
//
// Each target is a site; each protocol of a site has intervals of ports, which cover all ports.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "policy/protocol.h"
#include "policy/rule.h"
#include "wire/address.h"

namespace sluice::policy {

class PortSites {
 public:
  static constexpr std::uint32_t kNone = 0xffff'ffff;

  struct Entry {
    std::span<const PortRange> ports;  // As in Rule: sorted, disjoint; empty: every port.
    std::optional<Protocol> protocol;  // None: every one, or with ports those that have ports.
    std::uint32_t rule = 0;
  };

  // The most specific comes first: where several speak, the first of them decides. Returns the
  // site's number; they count from 0.
  std::uint32_t add(std::span<const Entry> ranked);

  // The rule that decides, or kNone. `port` is ignored for ICMP.
  [[nodiscard]] std::uint32_t find(std::uint32_t site, Protocol protocol, wire::Port port) const;

  // From `first` to the next interval's `first`, `rule` decides (kNone: nothing here does).
  struct Interval {
    std::uint16_t first = 0;
    std::uint32_t rule = kNone;
  };
  // All of them; the first begins at port 0.
  [[nodiscard]] std::span<const Interval> intervals(std::uint32_t site, Protocol protocol) const;

 private:
  struct Lane {
    std::uint32_t begin = 0;  // Into intervals_.
    std::uint32_t end = 0;
  };
  // One end of a port range. Entries are known by their rank: lower wins.
  struct Edge {
    std::uint32_t position = 0;
    bool opens = false;
    std::uint32_t rank = 0;
  };

  [[nodiscard]] Lane add_lane(std::span<const Entry> ranked, Protocol protocol);
  void sweep(std::span<const Entry> ranked, std::uint32_t fallback);
  void append(std::uint32_t first, std::uint32_t rule);

  std::vector<std::array<Lane, kProtocolCount>> sites_;
  std::vector<Interval> intervals_;
  std::vector<Edge> edges_;  // Of the lane being added.
};

}  // namespace sluice::policy
