#include "forward/udp/udp_session_table.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace sluice::forward {
namespace {

TEST(UdpSessionTableTest, EachPartOfAKeyCounts) {
  UdpSessionTable table({1, 2});
  const UdpSessionKey base{
      .client = {wire::IpAddress::v4(0x0a000001), wire::Port{1}}, .scope_id = 1, .listener = 1};
  std::vector<UdpSessionKey> keys(5, base);
  keys[1].client.address = wire::IpAddress::v4(0x0a000002);
  keys[2].client.port.value = 2;
  keys[3].scope_id = 2;
  keys[4].listener = 2;
  std::set<std::uint64_t> hashes;
  for (std::uint32_t i = 0; i < keys.size(); ++i) {
    table.insert(keys[i], i);
    hashes.insert(keys[i].hash({1, 2}));
  }
  const auto key_at = [&](std::uint32_t at) -> const UdpSessionKey& { return keys[at]; };
  for (std::uint32_t i = 0; i < keys.size(); ++i) EXPECT_EQ(table.find(keys[i], key_at), i);
  EXPECT_EQ(hashes.size(), keys.size());
  EXPECT_NE(base.hash({1, 2}), base.hash({1, 3}));
}

}  // namespace
}  // namespace sluice::forward
