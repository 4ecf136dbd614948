#include "forward/session/client_table.h"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace sluice::forward {
namespace {

using namespace std::chrono_literals;

constexpr SipKey kKey{.k0 = 1, .k1 = 2};
constexpr Instant kStart{100s};

wire::IpAddress ip(std::string_view text) { return wire::parse_ip(text).value(); }
wire::IpAddress client_of(std::uint32_t number) {
  return wire::IpAddress::v4(0x0a00'0000U + number);
}

TEST(ClientTable, CountsEachAddress) {
  ClientTable table({.connections = 2}, kKey);
  ClientEntry* const one = table.admit(ip("192.0.2.1"), kStart);
  ASSERT_NE(one, nullptr);
  EXPECT_EQ(table.admit(ip("192.0.2.1"), kStart), one);
  EXPECT_EQ(table.admit(ip("192.0.2.1"), kStart), nullptr);
  EXPECT_NE(table.admit(ip("192.0.2.2"), kStart), nullptr);
  table.released(*one);
  EXPECT_EQ(table.admit(ip("192.0.2.1"), kStart), one);
}

TEST(ClientTable, AnIPv6ClientIsItsSlash64) {
  ClientTable table({.connections = 1}, kKey);
  EXPECT_NE(table.admit(ip("2001:db8:0:1::1"), kStart), nullptr);
  EXPECT_EQ(table.admit(ip("2001:db8:0:1:ffff::2"), kStart), nullptr);
  EXPECT_NE(table.admit(ip("2001:db8:0:2::1"), kStart), nullptr);
  EXPECT_NE(table.admit(ip("fe80::1"), kStart), nullptr);
  EXPECT_NE(table.admit(ip("fe80::2"), kStart), nullptr);
}

TEST(ClientTable, RemembersAClientForItsLastSecond) {
  ClientTable table({.new_per_second = 1}, kKey);
  table.released(*table.admit(ip("192.0.2.1"), kStart));
  EXPECT_EQ(table.admit(ip("192.0.2.1"), kStart + 999ms), nullptr);
  EXPECT_EQ(table.size(), 1u);
  // Someone else comes, and what is not needed any more is forgotten.
  EXPECT_NE(table.admit(ip("192.0.2.2"), kStart + 1100ms), nullptr);
  EXPECT_EQ(table.size(), 1u);
  EXPECT_NE(table.admit(ip("192.0.2.1"), kStart + 1100ms), nullptr);
}

TEST(ClientTable, RemembersAClientInDebt) {
  ClientTable table({.to_target_rate = 1'000'000}, kKey);
  ClientEntry* const entry = table.admit(ip("192.0.2.1"), kStart);
  ASSERT_TRUE(entry != nullptr && entry->to_target);
  EXPECT_FALSE(entry->to_client);
  entry->to_target->take(10'000'000, kStart);
  table.released(*entry);
  ASSERT_NE(table.admit(ip("192.0.2.2"), kStart + 5s), nullptr);
  ClientEntry* const again = table.admit(ip("192.0.2.1"), kStart + 5s);
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->to_target->available(kStart + 5s), 0u);
  table.released(*again);
  ASSERT_NE(table.admit(ip("192.0.2.2"), kStart + 15s), nullptr);
  EXPECT_EQ(table.size(), 1u);
}

TEST(ClientTable, FullOfClientsWithSessionsItRefusesNewOnes) {
  ClientTable table({.connections = 5}, kKey, 100);
  std::vector<ClientEntry*> entries;
  for (std::uint32_t i = 0; i < 100; ++i) entries.push_back(table.admit(client_of(i), kStart));
  EXPECT_EQ(table.admit(client_of(100), kStart), nullptr);
  EXPECT_NE(table.admit(client_of(7), kStart), nullptr);  // Known ones go on.
  table.released(*entries[3]);
  EXPECT_EQ(table.admit(client_of(100), kStart + 1s), nullptr);  // Its last second is kept.
  EXPECT_NE(table.admit(client_of(100), kStart + 1017ms), nullptr);
  EXPECT_EQ(table.size(), 100u);
}

TEST(ClientTable, FullOfDebtorsItForgivesTheOldest) {
  ClientTable table({.to_client_rate = 1}, kKey, 50);
  for (std::uint32_t i = 0; i < 50; ++i) {
    ClientEntry* const entry = table.admit(client_of(i), kStart);
    ASSERT_NE(entry, nullptr);
    entry->to_client->take(1'000'000, kStart);
    table.released(*entry);
  }
  EXPECT_EQ(table.admit(client_of(50), kStart + 1s), nullptr);
  EXPECT_NE(table.admit(client_of(50), kStart + 2s), nullptr);
  EXPECT_EQ(table.size(), 50u);
}

TEST(ClientTable, AStreamOfClientsLeavesNoMoreThanASecondsWorth) {
  ClientTable table({.new_per_second = 3}, kKey);
  Instant now = kStart;
  std::size_t most = 0;
  for (std::uint32_t i = 0; i < 50'000; ++i) {
    ClientEntry* const entry = table.admit(client_of(i), now);
    ASSERT_NE(entry, nullptr);
    table.released(*entry);
    now += 1ms;
    most = std::max(most, table.size());
  }
  EXPECT_LE(most, 1'020u);
}

}  // namespace
}  // namespace sluice::forward
