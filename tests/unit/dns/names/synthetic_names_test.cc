#include "dns/names/synthetic_names.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

namespace sluice::dns {
namespace {

using wire::IpFamily;

wire::DomainName name(std::string_view text) { return wire::DomainName::from_text(text).value(); }
wire::IpAddress ip(std::string_view text) { return wire::parse_ip(text).value(); }

TEST(SyntheticNames, ANameHasOneAddressAFamilyForGood) {
  SyntheticNames names(SipKey{1, 2});
  const auto id = names.give(name("Ok.Test"), SyntheticUse::kReached);
  ASSERT_TRUE(id);
  EXPECT_EQ(SyntheticNames::address_of(*id, IpFamily::kV4), ip("198.18.0.1"));
  EXPECT_EQ(SyntheticNames::address_of(*id, IpFamily::kV6), ip("fd73:6c75:6963:e000::1"));
  EXPECT_EQ(names.give(name("oK.tEST"), SyntheticUse::kRefused), id);
  EXPECT_EQ(names.at(ip("198.18.0.1")), id);
  EXPECT_EQ(names.at(ip("fd73:6c75:6963:e000::1")), id);
  EXPECT_EQ(names.name(*id)->to_text(), "ok.test");
  EXPECT_NE(names.give(name("b.test"), SyntheticUse::kReached), id);
  EXPECT_EQ(names.size(), 2u);
}

TEST(SyntheticNames, WhatWasNeverGivenIsNobodys) {
  SyntheticNames names(SipKey{1, 2});
  (void)names.give(name("ok.test"), SyntheticUse::kReached);
  for (const char* address :
       {"198.18.0.0", "198.18.0.2", "198.19.255.255", "198.20.0.1", "198.17.255.255", "203.0.113.1",
        "fd73:6c75:6963:e000::", "fd73:6c75:6963:e000::2", "fd73:6c75:6963:e000:0:0:1:1",
        "fd73:6c75:6963:e000:1::1", "fd73:6c75:6963:e001::1", "::1"}) {
    EXPECT_FALSE(names.at(ip(address))) << address;
  }
  EXPECT_FALSE(names.name(NameId{{.index = 0, .generation = 0}})) << "a pinned one's";
  EXPECT_FALSE(names.name(NameId{{.index = 1, .generation = 0xffff'ffff}}));
  EXPECT_TRUE(SyntheticNames::is_synthetic(ip("198.19.255.255")));
  EXPECT_FALSE(SyntheticNames::is_synthetic(ip("198.20.0.0")));
  EXPECT_FALSE(SyntheticNames::is_synthetic(ip("::198.18.0.1")));
}

TEST(SyntheticNames, ThereIsAnEndToThem) {
  SyntheticNames names(SipKey{1, 2});
  std::set<wire::IpAddress> given;
  for (int i = 0; i < 131'070; ++i) {
    const auto id = names.give(name(fmt::format("n{}.wild.test", i)), SyntheticUse::kReached);
    ASSERT_TRUE(id) << i;
    given.insert(SyntheticNames::address_of(*id, IpFamily::kV4));
  }
  EXPECT_EQ(given.size(), 131'070u);
  EXPECT_EQ(*given.begin(), ip("198.18.0.1"));
  EXPECT_EQ(*given.rbegin(), ip("198.19.255.254"));
  EXPECT_FALSE(names.give(name("more.wild.test"), SyntheticUse::kReached));
  EXPECT_TRUE(names.give(name("n7.wild.test"), SyntheticUse::kReached)) << "those stay";
}

TEST(SyntheticNames, MadeUpNamesLeaveRoomForOthers) {
  SyntheticNames names(SipKey{1, 2}, {.refused_max = 3});
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(names.give(name(fmt::format("n{}.evil.test", i)), SyntheticUse::kRefused));
  }
  EXPECT_FALSE(names.give(name("more.evil.test"), SyntheticUse::kRefused));
  EXPECT_TRUE(names.give(name("n0.evil.test"), SyntheticUse::kRefused));
  EXPECT_TRUE(names.give(name("ok.test"), SyntheticUse::kReached));
}

TEST(SyntheticNames, LongOnesAreBoundedInBytes) {
  SyntheticNames names(SipKey{1, 2}, {.bytes_max = 400, .refused_bytes_max = 200});
  const std::string label(60, 'x');
  const auto long_name = [&](char c) { return name(fmt::format("{}{}.{}.test", c, label, label)); };
  EXPECT_TRUE(names.give(long_name('a'), SyntheticUse::kRefused));
  EXPECT_FALSE(names.give(long_name('b'), SyntheticUse::kRefused));
  EXPECT_TRUE(names.give(long_name('c'), SyntheticUse::kReached));
  EXPECT_TRUE(names.give(long_name('d'), SyntheticUse::kReached));
  EXPECT_FALSE(names.give(long_name('e'), SyntheticUse::kReached));
}

}  // namespace
}  // namespace sluice::dns
