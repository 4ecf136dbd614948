#include "flow/udp/udp_sockets.h"

#include <gtest/gtest.h>

#include "unit/flow/engine/guest_frames.h"

namespace sluice::flow::test {
namespace {

class UdpSocketsTest : public testing::Test {
 protected:
  UdpSockets sockets_{HashSecret{}};
  const wire::Endpoint guest_ = endpoint("10.0.2.15:53");
};

TEST_F(UdpSocketsTest, OneIsForAllFlowsOfAnEndpoint) {
  EXPECT_FALSE(sockets_.shared(guest_));
  const UdpId id = sockets_.add_shared(guest_);
  EXPECT_EQ(sockets_.shared(guest_), id);
  ++sockets_.at(id.index).flows;
  EXPECT_FALSE(sockets_.drop_unused(id));
  --sockets_.at(id.index).flows;
  EXPECT_TRUE(sockets_.drop_unused(id));
  EXPECT_FALSE(sockets_.shared(guest_));
  EXPECT_EQ(sockets_.find(id), nullptr);
}

TEST_F(UdpSocketsTest, OnesOfTheirOwnAreNobodyElses) {
  const UdpId own = sockets_.add_own(guest_, 3);
  const UdpId there = sockets_.add_in_guest(endpoint("127.0.0.1:53"), 4);
  EXPECT_FALSE(sockets_.shared(guest_));
  EXPECT_FALSE(sockets_.at(own.index).in_guest);
  EXPECT_TRUE(sockets_.at(there.index).in_guest);
  EXPECT_EQ(sockets_.at(there.index).only, 4U);
  for (const UdpId id : {own, there}) {
    EXPECT_FALSE(sockets_.drop_unused(id));
    --sockets_.at(id.index).flows;
    EXPECT_TRUE(sockets_.drop_unused(id));
  }
  EXPECT_EQ(sockets_.size(), 0U);
}

TEST_F(UdpSocketsTest, AnEndpointIsPublishedUntilTheLastIsWithdrawn) {
  const UdpId one = sockets_.publish(guest_);
  const UdpId other = sockets_.publish(guest_);
  EXPECT_FALSE(sockets_.drop_unused(one));
  EXPECT_TRUE(sockets_.withdraw(one));
  EXPECT_FALSE(sockets_.withdraw(one));
  EXPECT_TRUE(sockets_.is_published(guest_));
  EXPECT_TRUE(sockets_.drop_unused(one));
  EXPECT_TRUE(sockets_.withdraw(other));
  EXPECT_FALSE(sockets_.is_published(guest_));
}

}  // namespace
}  // namespace sluice::flow::test
