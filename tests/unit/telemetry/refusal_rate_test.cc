#include "telemetry/refusal_rate.h"

#include <gtest/gtest.h>

namespace sluice::telemetry {
namespace {

// Each is counted apart: a reason beyond the last counter would count in somebody else's memory.
TEST(RefusalRate, EveryVerdictHasACounterOfItsOwn) {
  RefusalRate rate;
  const RefusalRate::Time now{std::chrono::hours(1)};
  for (std::size_t i = 1; i < policy::kVerdictCount; ++i) {
    FlowRecord record;
    record.verdict = static_cast<policy::Verdict>(i);
    const auto reason = RefusalRate::reason_of(record);
    ASSERT_TRUE(reason);
    ASSERT_LT(*reason, RefusalRate::kReasons);
    for (std::size_t burst = 0; burst < RefusalRate::kBurst; ++burst) {
      EXPECT_TRUE(rate.admit(*reason, now)) << policy::to_string(record.verdict);
    }
    EXPECT_FALSE(rate.admit(*reason, now)) << policy::to_string(record.verdict);
    EXPECT_EQ(rate.take_left_out(*reason), 1u) << policy::to_string(record.verdict);
  }
}

}  // namespace
}  // namespace sluice::telemetry
