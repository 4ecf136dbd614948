#include "policy/address_group.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sluice::policy {
namespace {

wire::IpAddress ip(const char* text) { return wire::parse_ip(text).value(); }

TEST(AddressGroup, HasAName) {
  for (const AddressGroup group :
       {AddressGroup::kPublic, AddressGroup::kPrivate, AddressGroup::kLinkLocal,
        AddressGroup::kMetadata, AddressGroup::kHost, AddressGroup::kGateway,
        AddressGroup::kLoopback}) {
    EXPECT_EQ(parse_address_group(to_string(group)), group);
  }
  EXPECT_EQ(parse_address_group("@lan"), std::nullopt);
  EXPECT_EQ(parse_address_group("public"), std::nullopt);
}

TEST(AddressGroup, PublicIsWhatTheInternetRoutes) {
  for (const char* text : {"1.1.1.1", "11.0.0.1", "100.63.255.255", "100.128.0.0", "172.15.0.1",
                           "172.32.0.1", "192.0.1.1", "192.0.2.1", "198.17.0.1", "203.0.113.1",
                           "223.255.255.255", "2606:4700::1111", "3fff::1", "64:ff9b::101:101"}) {
    EXPECT_TRUE(is_public(ip(text))) << text;
  }
  for (const char* text :
       {"0.0.0.0",     "10.0.0.1",     "100.64.0.1",     "100.127.255.255", "127.0.0.1",
        "169.254.1.1", "172.16.0.1",   "172.31.255.255", "192.0.0.192",     "192.168.1.1",
        "198.18.0.1",  "198.19.255.1", "224.0.0.1",      "240.0.0.1",       "255.255.255.255",
        "::",          "::1",          "fc00::1",        "fd00:ec2::254",   "fe80::1",
        "ff02::1",     "64:ff9b:1::1", "4000::1"}) {
    EXPECT_FALSE(is_public(ip(text))) << text;
  }
}

TEST(AddressGroup, WhatIsDeniedByDefaultIsNotPublicButForOne) {
  for (const AddressGroup group : {AddressGroup::kPrivate, AddressGroup::kLinkLocal}) {
    for (const wire::Prefix& prefix : prefixes_of(group)) EXPECT_FALSE(is_public(prefix.address));
  }
  // Azure's is an address of the internet.
  EXPECT_TRUE(is_public(ip("168.63.129.16")));
  for (const wire::Prefix& prefix : prefixes_of(AddressGroup::kMetadata)) {
    EXPECT_TRUE(std::ranges::any_of(default_denials(), [&](const wire::Prefix& denied) {
      return denied.contains(prefix.address);
    })) << to_string(prefix);
  }
}

}  // namespace
}  // namespace sluice::policy
