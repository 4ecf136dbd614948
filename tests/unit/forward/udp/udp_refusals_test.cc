#include "forward/udp/udp_refusals.h"

#include <gtest/gtest.h>

namespace sluice::forward {
namespace {

using namespace std::chrono_literals;

TEST(UdpRefusalsTest, OneLineForEachClientAndNotTooManyASecond) {
  UdpRefusals refusals({3, 4});
  const Instant now{100s};
  const wire::IpAddress client = wire::parse_ip("192.0.2.1").value();
  EXPECT_TRUE(refusals.worth_a_line(client, 0, SessionResult::kDenied, now));
  EXPECT_FALSE(refusals.worth_a_line(client, 0, SessionResult::kDenied, now + 59s));
  EXPECT_TRUE(refusals.worth_a_line(client, 1, SessionResult::kDenied, now));
  EXPECT_TRUE(refusals.worth_a_line(client, 0, SessionResult::kDenied, now + 61s));
  std::uint32_t lines = 0;
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    const auto other = wire::IpAddress::v4(0x0a000000 + i);
    lines += refusals.worth_a_line(other, 0, SessionResult::kDenied, now + 100s) ? 1 : 0;
  }
  EXPECT_EQ(lines, UdpRefusals::kLinesPerSecond);
}

}  // namespace
}  // namespace sluice::forward
