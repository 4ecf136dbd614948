#include "policy/port_sites.h"

#include <gtest/gtest.h>

namespace sluice::policy {
namespace {

constexpr std::uint32_t kNone = PortSites::kNone;

TEST(PortSites, TheFirstOfTheRankedDecidesWhereItSpeaks) {
  const std::vector<PortRange> https{{443, 443}};
  const std::vector<PortRange> low{{0, 1023}};
  PortSites sites;
  const std::uint32_t empty = sites.add({});
  const std::uint32_t site =
      sites.add(std::vector<PortSites::Entry>{{https, std::nullopt, 7}, {low, Protocol::kTcp, 8}});
  const auto found = [&](Protocol protocol, std::uint16_t port) {
    return sites.find(site, protocol, wire::Port{port});
  };
  EXPECT_EQ(sites.find(empty, Protocol::kTcp, wire::Port{443}), kNone);
  EXPECT_EQ(found(Protocol::kTcp, 0), 8u);
  EXPECT_EQ(found(Protocol::kTcp, 442), 8u);
  EXPECT_EQ(found(Protocol::kTcp, 443), 7u);
  EXPECT_EQ(found(Protocol::kTcp, 444), 8u);
  EXPECT_EQ(found(Protocol::kTcp, 1024), kNone);
  EXPECT_EQ(found(Protocol::kUdp, 443), 7u);
  EXPECT_EQ(found(Protocol::kUdp, 442), kNone);
  EXPECT_EQ(found(Protocol::kIcmp, 0), kNone);
}

TEST(PortSites, AnEntryWithoutPortsIsForAllOfThemAndForIcmp) {
  const std::vector<PortRange> top{{60'000, 65'535}};
  PortSites sites;
  const std::uint32_t site = sites.add(
      std::vector<PortSites::Entry>{{top, Protocol::kUdp, 1}, {{}, std::nullopt, 2}, {{}, {}, 3}});
  EXPECT_EQ(sites.find(site, Protocol::kUdp, wire::Port{65'535}), 1u);
  EXPECT_EQ(sites.find(site, Protocol::kUdp, wire::Port{59'999}), 2u);
  EXPECT_EQ(sites.find(site, Protocol::kTcp, wire::Port{65'535}), 2u);
  EXPECT_EQ(sites.find(site, Protocol::kIcmp, wire::Port{0}), 2u);
}

TEST(PortSites, IntervalsCoverEveryPort) {
  const std::vector<PortRange> some{{80, 80}, {443, 443}};
  PortSites sites;
  const std::uint32_t site = sites.add(std::vector<PortSites::Entry>{{some, Protocol::kTcp, 5}});
  const auto lane = sites.intervals(site, Protocol::kTcp);
  ASSERT_EQ(lane.size(), 5u);
  EXPECT_EQ(lane[0].first, 0);
  EXPECT_EQ(lane[0].rule, kNone);
  EXPECT_EQ(lane[1].first, 80);
  EXPECT_EQ(lane[1].rule, 5u);
  EXPECT_EQ(lane[2].first, 81);
  EXPECT_EQ(sites.intervals(site, Protocol::kUdp).size(), 1u);
}

}  // namespace
}  // namespace sluice::policy
