#include "policy/egress/via.h"

#include <gtest/gtest.h>

namespace sluice::policy {
namespace {

TEST(Via, IsWrittenAsItIsRead) {
  for (const char* text : {"connect:proxy.corp.example:3128", "connect:10.0.0.1:8080",
                           "proxy:[::1]:9000", "proxy:broker:1"}) {
    const auto via = parse_via(text);
    ASSERT_TRUE(via) << text;
    EXPECT_EQ(to_string(*via), text);
  }
}

TEST(Via, AnAddressIsWhereItLeads) {
  const auto via = parse_via("connect:[2001:db8::1]:3128");
  ASSERT_TRUE(via);
  EXPECT_EQ(via->protocol, ViaProtocol::kConnect);
  ASSERT_EQ(via->endpoints.size(), 1u);
  EXPECT_EQ(wire::to_string(via->endpoints[0]), "[2001:db8::1]:3128");
  EXPECT_TRUE(parse_via("connect:proxy.example:1")->endpoints.empty()) << "who may resolve it does";
}

TEST(Via, WhatIsNoneSaysWhatWasExpected) {
  for (const char* text :
       {"", "connect:", "connect:host", "connect:host:", "connect:host:0", "connect:host:70000",
        "connect::80", "connect:a b:80", "http:host:80", "connect:2001:db8::1:80x",
        "connect:[10.0.0.1]:80", "connect:h/x:80", "proxy:a\r\nb:80"}) {
    const auto via = parse_via(text);
    ASSERT_FALSE(via) << text;
    EXPECT_NE(via.error().expected.find("connect:HOST:PORT"), std::string::npos);
  }
}

}  // namespace
}  // namespace sluice::policy
