#include "telemetry/events/run_id.h"

#include <gtest/gtest.h>

namespace sluice::telemetry {
namespace {

TEST(RunId, HasSixLettersOfItsChance) {
  EXPECT_EQ(run_id_of(0), "aaaaaa");
  EXPECT_EQ(run_id_of(1), "baaaaa");
  EXPECT_EQ(run_id_of(~0ULL), "999999");
  EXPECT_NE(run_id_of(1ULL << 29U), run_id_of(0));
}

}  // namespace
}  // namespace sluice::telemetry
