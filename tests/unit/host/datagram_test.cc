#include "host/datagram.h"

#include <gtest/gtest.h>

namespace sluice::host {
namespace {

TEST(DatagramsIn, CountsThemByTheirSize) {
  EXPECT_EQ(datagrams_in(0, 0), 1U);
  EXPECT_EQ(datagrams_in(5000, 0), 1U);
  EXPECT_EQ(datagrams_in(0, 1000), 1U);
  EXPECT_EQ(datagrams_in(5000, 1000), 5U);
  EXPECT_EQ(datagrams_in(5001, 1000), 6U);
}

}  // namespace
}  // namespace sluice::host
