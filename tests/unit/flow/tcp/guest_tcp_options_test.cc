#include "flow/tcp/guest_tcp_options.h"

#include <gtest/gtest.h>

#include "unit/flow/tcp/segments.h"

namespace sluice::flow {
namespace {

constexpr std::uint16_t kLink = 1460;

GuestTcpOptions read(const wire::TcpOptions& options) {
  const test::Segment syn({.flags = wire::kSyn, .window = 1000, .options = options});
  return GuestTcpOptions::read(syn.view(), kLink);
}

TEST(GuestTcpOptions, WithoutOptionsNothingIsScaledAndSegmentsAreSmall) {
  const GuestTcpOptions guest = read({});
  EXPECT_EQ(guest.mss, 536);
  EXPECT_FALSE(guest.scaled);
  EXPECT_FALSE(guest.sack);
  EXPECT_EQ(guest.our_scale(), 0);
}

TEST(GuestTcpOptions, SegmentsAreNeitherTinyNorLargerThanTheLink) {
  EXPECT_EQ(read({.mss = 1}).mss, 88);
  EXPECT_EQ(read({.mss = 1200}).mss, 1200);
  EXPECT_EQ(read({.mss = 9000}).mss, kLink);
}

// RFC 7323, 2.3.
TEST(GuestTcpOptions, AShiftAboveFourteenIsFourteen) {
  EXPECT_EQ(read({.window_scale = 200}).window_scale, 14);
}

TEST(GuestTcpOptions, OnlyAGuestThatScalesIsScaledTo) {
  GuestTcpOptions guest = read({.window_scale = 3, .sack_permitted = true});
  const test::Segment segment({.window = 1000});
  EXPECT_EQ(guest.window_of(segment.view()), 8000u);
  EXPECT_EQ(guest.our_scale(), kTcpWindowScale);
  EXPECT_TRUE(guest.sack);
  guest.scaled = false;
  EXPECT_EQ(guest.window_of(segment.view()), 1000u);
}

}  // namespace
}  // namespace sluice::flow
