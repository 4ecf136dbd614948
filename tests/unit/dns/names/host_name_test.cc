#include "dns/names/host_name.h"

#include <gtest/gtest.h>

namespace sluice::dns {
namespace {

wire::DomainName name(std::string_view text) { return *wire::DomainName::from_text(text); }

TEST(HostName, IsMadeOfLettersDigitsHyphensAndUnderscores) {
  for (const char* text : {"a", "OK.test.", "_srv._tcp.a-1.test", "xn--k-uia.test", "1.2.3.4"}) {
    EXPECT_TRUE(is_host_name(name(text))) << text;
  }
  for (const char* text : {".", "a b.test", "ok\\.test.evil", "nul\\000.test", "*.test",
                           "\\208\\190k.test", "a/b.test", "-\\\\.test"}) {
    EXPECT_FALSE(is_host_name(name(text))) << text;
  }
}

TEST(HostName, CountsLabels) {
  EXPECT_EQ(label_count(name(".")), 0u);
  EXPECT_EQ(label_count(name("a")), 1u);
  EXPECT_EQ(label_count(name("a.b\\.c.d")), 3u);
}

TEST(HostName, ReverseNamesAreAddresses) {
  EXPECT_EQ(wire::to_string(*reverse_address(name("4.3.2.1.IN-ADDR.arpa"))), "1.2.3.4");
  EXPECT_EQ(wire::to_string(*reverse_address(
                name("B.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa"))),
            "4321:0:1:2:3:4:567:89ab");
}

TEST(HostName, OtherNamesAreNoAddresses) {
  for (const char* text :
       {"3.2.1.in-addr.arpa", "5.4.3.2.1.in-addr.arpa", "256.3.2.1.in-addr.arpa",
        "04.3.2.1.in-addr.arpa", "a.3.2.1.in-addr.arpa", "4.3.2.1.in-addr.arpa.evil.test",
        "1.2.ip6.arpa", "in-addr.arpa", ".", "4.3.2.1.evil.test",
        "data.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa"}) {
    EXPECT_FALSE(reverse_address(name(text))) << text;
  }
}

}  // namespace
}  // namespace sluice::dns
