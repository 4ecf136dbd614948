#include "telemetry/metrics/totals.h"

#include <gtest/gtest.h>

namespace sluice::telemetry {
namespace {

using policy::Protocol;
using policy::Verdict;

TEST(Totals, ThoseOfWorkersAddUp) {
  Totals one;
  one.ended.count(Protocol::kTcp, Verdict::kAccepted);
  one.open[0][1] = 2;
  one.bytes = {10, 20};
  one.carried = {4, 5};
  one.gate = {{"tls", "passed", 3}};
  one.pins = 7;
  Totals other = one;
  other.ended.count(Protocol::kIcmp, Verdict::kKilled);
  other.dns = {{"", "cached", 9}};
  other.handed_over = 1;
  one.add(other);
  EXPECT_EQ(one.ended.of(Protocol::kTcp, Verdict::kAccepted), 2u);
  EXPECT_EQ(one.ended.of(Protocol::kIcmp, Verdict::kKilled), 1u);
  EXPECT_EQ(one.ended.of(Protocol::kUdp, Verdict::kAccepted), 0u);
  EXPECT_EQ(one.open[0][1], 4u);
  EXPECT_EQ(one.bytes.to_host, 20u);
  EXPECT_EQ(one.carried.to_guest, 10u);
  ASSERT_EQ(one.dns.size(), 1u);
  EXPECT_EQ(one.dns[0].result, "cached");
  EXPECT_EQ(one.gate[0].value, 6u);
  EXPECT_EQ(one.handed_over, 1u);
  // The book of names is the guest's: each worker tells the same.
  EXPECT_EQ(one.pins, 7u);
}

}  // namespace
}  // namespace sluice::telemetry
