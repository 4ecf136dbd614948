#include "wire/first_bytes/host_name.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::wire {
namespace {

TEST(HostName, NamesOfHostsAreRead) {
  for (const char* text : {"ok.test", "localhost", "a_b.test", "xn--k-fka.test", "1.2.3.4.test",
                           "3com.com", "r3---sn.test", "0xg.test", "a.0xfgh"}) {
    const auto name = host_name_from_text(text);
    ASSERT_TRUE(name) << text;
    EXPECT_EQ(name->to_text(), text);
  }
}

TEST(HostName, WhatAResolverTakesForAnAddressIsNone) {
  for (const char* text :
       {"192.0.2.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "a.12", "a.0x", "::1"}) {
    EXPECT_FALSE(host_name_from_text(text)) << text;
  }
}

TEST(HostName, WhatIsNoNameIsNone) {
  for (const char* text : {"", ".", ".ok", "ok.", "a..b", "a b", "a\\.b", "a%00", "*.ok.test",
                           "\xc3\xb6.test", "a/b", "u@h"}) {
    EXPECT_FALSE(host_name_from_text(text)) << text;
  }
  EXPECT_FALSE(host_name_from_text(std::string_view("a\0b", 3)));
}

TEST(HostName, ItsLengthsAreBounded) {
  const std::string label(63, 'a');
  EXPECT_TRUE(host_name_from_text(label + "." + label + "." + label + "." + std::string(61, 'a')));
  EXPECT_FALSE(host_name_from_text(label + "." + label + "." + label + "." + std::string(62, 'a')));
  EXPECT_FALSE(host_name_from_text(label + "a.test"));
}

}  // namespace
}  // namespace sluice::wire
