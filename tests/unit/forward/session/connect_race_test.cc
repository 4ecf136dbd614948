// How races go is seen in worker_test.cc and udp_to_tcp_test.cc, with the sessions whose they are.
#include "forward/session/connect_race.h"

#include <gtest/gtest.h>

namespace sluice::forward {
namespace {

using namespace std::chrono_literals;

TEST(ConnectRace, AShortTimeoutIsSharedByAllWhoCanRunAtOnce) {
  EXPECT_EQ(ConnectRaces::delay(10s), 250ms);
  EXPECT_EQ(ConnectRaces::delay(2s), 250ms);
  EXPECT_EQ(ConnectRaces::delay(800ms), 100ms);
  EXPECT_EQ(ConnectRaces::delay(80ms) * static_cast<int>(ConnectRaces::kRunnersMax), 80ms);
}

}  // namespace
}  // namespace sluice::forward
