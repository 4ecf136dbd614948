#include "flow/table.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "base/prng.h"

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

TEST(FlowTable, DoesWhatAMapDoes) {
  Prng prng(3);
  Flows flows;
  flows.keys.resize(4000);
  std::map<std::uint32_t, std::uint32_t> exact;  // Number of the key to index.
  std::vector<std::uint32_t> free;
  for (std::uint32_t i = 4000; i-- > 0;) free.push_back(i);
  for (int step = 0; step < 60'000; ++step) {
    const auto number = static_cast<std::uint32_t>(prng.below(6000));
    const auto at = exact.find(number);
    ASSERT_EQ(flows.find(key_of(number)), at == exact.end() ? FlowTable::kNone : at->second);
    if (at != exact.end()) {
      flows.table.erase(key_of(number), at->second);
      free.push_back(at->second);
      exact.erase(at);
    } else if (!free.empty()) {
      const std::uint32_t index = free.back();
      free.pop_back();
      flows.keys[index] = key_of(number);
      flows.table.insert(key_of(number), index);
      exact.emplace(number, index);
    }
    ASSERT_EQ(flows.table.size(), exact.size());
  }
  for (const auto& [number, index] : exact) EXPECT_EQ(flows.find(key_of(number)), index);
}

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

TEST(FlowTable, ErasingWhatIsNotThereDoesNothing) {
  Flows flows;
  flows.keys = {key_of(1)};
  flows.table.insert(key_of(1), 0);
  flows.table.erase(key_of(2), 5);
  EXPECT_EQ(flows.find(key_of(1)), 0u);
  EXPECT_EQ(flows.table.size(), 1u);
}

}  // namespace
}  // namespace sluice::flow
