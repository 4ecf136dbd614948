#include "flow/core/flow_table.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::flow {
namespace {

FlowKey key_of(std::uint32_t number) {
  return {{wire::IpAddress::v4(0x0a00'020f), wire::Port{static_cast<std::uint16_t>(number)}},
          {wire::IpAddress::v4(0xc633'6400U + (number >> 16)), wire::Port{80}},
          wire::IpProtocol::kTcp};
}

// Keys live outside the table, as they do in the slab.
struct Flows {
  std::vector<FlowKey> keys;
  FlowTable table{HashSecret{}};

  std::uint32_t find(const FlowKey& key) const {
    return table.find(key, [this](std::uint32_t index) -> const FlowKey& { return keys[index]; });
  }
};

TEST(FlowTable, KeysThatDifferInOneFieldAreDifferent) {
  Flows flows;
  FlowKey base = key_of(1);
  flows.keys = {base, base, base, base};
  flows.keys[1].guest.port.value = 2;
  flows.keys[2].remote.port.value = 81;
  flows.keys[3].protocol = wire::IpProtocol::kUdp;
  for (std::uint32_t i = 0; i < 4; ++i) flows.table.insert(flows.keys[i], i);
  for (std::uint32_t i = 0; i < 4; ++i) EXPECT_EQ(flows.find(flows.keys[i]), i);
}

}  // namespace
}  // namespace sluice::flow
