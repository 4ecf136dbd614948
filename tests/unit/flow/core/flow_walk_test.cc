#include "flow/core/flow_walk.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::flow {
namespace {

TEST(FlowWalk, GoesOnWhereItStopped) {
  Slab<int> flows;
  std::vector<SlabHandle> handles;
  for (int i = 0; i < 5; ++i) handles.push_back(flows.emplace(i));
  flows.erase(handles[1]);
  std::vector<int> seen;
  const auto two_at_most = [&](int flow) {
    if (seen.size() == 2) return false;
    seen.push_back(flow);
    return true;
  };
  const std::uint32_t place = walk_flows(flows, 0, two_at_most);
  EXPECT_EQ(seen, (std::vector<int>{0, 2}));
  flows.erase(handles[3]);  // It ends while nobody looks.
  seen.clear();
  EXPECT_EQ(walk_flows(flows, place, two_at_most), kWalkEnd);
  EXPECT_EQ(seen, (std::vector<int>{4}));
  EXPECT_EQ(walk_flows(flows, kWalkEnd, two_at_most), kWalkEnd);
}

}  // namespace
}  // namespace sluice::flow
