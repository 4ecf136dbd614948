#include "flow/core/metered.h"

#include <gtest/gtest.h>

namespace sluice::flow {
namespace {

using namespace std::chrono_literals;
using policy::Meter;
using policy::MeterUse;

constexpr Instant kNow{7s};

TEST(MeterDatagrams, WholeOnesGoOnAndTheRestIsCounted) {
  MeterUse use("udp");
  Meter meter(use, {.to_host = {.rate = 1'000'000}}, nullptr);  // A burst of 50,000 bytes.
  const DatagramsMetered all = meter_datagrams(meter.to_host(), 40'000, 1000, kNow);
  EXPECT_EQ(all.bytes, 40'000u);
  EXPECT_TRUE(all.all_pass());
  const DatagramsMetered some = meter_datagrams(meter.to_host(), 30'500, 1000, kNow);
  EXPECT_EQ(some.bytes, 10'000u);
  EXPECT_EQ(some.dropped, 21u);
  EXPECT_EQ(use.to_host.used, 50'000u);
}

TEST(MeterDatagrams, EmptyOnesCountForARate) {
  MeterUse use("udp");
  Meter meter(use, {.to_host = {.rate = 1}}, nullptr);
  EXPECT_TRUE(meter_datagrams(meter.to_host(), 0, 0, kNow).all_pass());
  EXPECT_EQ(meter_datagrams(meter.to_host(), 9000, 0, kNow).bytes, 9000u);
  EXPECT_EQ(meter_datagrams(meter.to_host(), 0, 0, kNow).dropped, 1u);
}

TEST(MeterDatagrams, AQuotaEndsAtAWholeDatagram) {
  MeterUse use("udp");
  Meter meter(use, {.to_host = {.bytes = 2500}}, nullptr);
  const DatagramsMetered metered = meter_datagrams(meter.to_host(), 4000, 1000, kNow);
  EXPECT_EQ(metered.bytes, 2000u);
  EXPECT_TRUE(metered.used_up);
  EXPECT_EQ(metered.dropped, 0u);
}

}  // namespace
}  // namespace sluice::flow
