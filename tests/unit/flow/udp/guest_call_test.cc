#include "flow/udp/guest_call.h"

#include <gtest/gtest.h>

#include "unit/flow/engine/guest_frames.h"

namespace sluice::flow::test {
namespace {

TEST(GuestCall, TheAddressComesFirstOrLast) {
  GuestCall last(false, wire::IpFamily::kV6, wire::Port{53});
  EXPECT_FALSE(last.server());
  ASSERT_TRUE(last.next());
  EXPECT_EQ(last.server(), endpoint("[::1]:53"));
  ASSERT_TRUE(last.next());
  EXPECT_EQ(last.server(), endpoint("127.0.0.1:53"));
  EXPECT_FALSE(last.next()) << "nobody is left";
  EXPECT_FALSE(last.server()) << "it begins anew";

  GuestCall first(true, wire::IpFamily::kV4, wire::Port{53});
  EXPECT_EQ(first.server(), endpoint("127.0.0.1:53"));
  ASSERT_TRUE(first.next());
  EXPECT_EQ(first.server(), endpoint("[::1]:53"));
  ASSERT_TRUE(first.next());
  EXPECT_FALSE(first.server());
  first.restart();
  EXPECT_EQ(first.server(), endpoint("127.0.0.1:53"));
}

}  // namespace
}  // namespace sluice::flow::test
