#include "telemetry/events/dns_text.h"

#include <gtest/gtest.h>

namespace sluice::telemetry {
namespace {

TEST(DnsText, TypesAndAnswersHaveTheirNamesAndOthersTheirNumbers) {
  EXPECT_EQ(dns_type_text(wire::DnsType::kAaaa), "AAAA");
  EXPECT_EQ(dns_type_text(static_cast<wire::DnsType>(4711)), "TYPE4711");
  EXPECT_EQ(dns_rcode_text(wire::DnsRcode::kNxDomain), "NXDOMAIN");
  EXPECT_EQ(dns_rcode_text(static_cast<wire::DnsRcode>(9)), "RCODE9");
}

TEST(DnsText, GoesTheOtherWayToo) {
  for (unsigned number = 0; number <= 0xffff; ++number) {
    const auto type = static_cast<wire::DnsType>(number);
    ASSERT_EQ(dns_type_number(dns_type_text(type)), number);
  }
  EXPECT_EQ(dns_rcode_number("SERVFAIL"), 2);
  for (const char* text : {"", "AAA", "TYPE", "TYPEx", "TYPE65536", "TYPE1 "}) {
    EXPECT_FALSE(dns_type_number(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace sluice::telemetry
