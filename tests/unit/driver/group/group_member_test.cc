#include "driver/group/group_member.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "unit/flow/engine/guest_frames.h"

namespace sluice::driver {
namespace {

using flow::test::Bytes;
using flow::test::endpoint;

class GroupMemberTest : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kWorkers = 3;

  // A UDP frame of a flow that `worker` has.
  [[nodiscard]] Bytes frame_of(std::uint32_t worker, std::size_t size = 100) const {
    std::uint16_t port = 1024;
    while (owner.of_udp(wire::Port{port}) != worker) ++port;
    return flow::test::udp_frame(network, {network.guest_v4, wire::Port{port}},
                                 endpoint("192.0.2.1:9"), Bytes(size));
  }
  [[nodiscard]] static std::vector<wire::FrameIn> burst_of(const std::vector<Bytes>& frames) {
    std::vector<wire::FrameIn> burst;
    for (const Bytes& frame : frames) burst.push_back({frame, {}});
    return burst;
  }
  // All that waits for this worker.
  [[nodiscard]] Inbox::Mail mail_of(std::uint32_t worker) {
    Inbox::Mail mail;
    group->inbox(worker).take(mail);
    return mail;
  }
  void fill(std::uint32_t worker) { group->inbox(worker).post(LinkGone{}, Inbox::kBytesMax); }

  flow::GuestNetwork network;
  flow::FrameOwner owner{network, kWorkers, {11, 12}};
  std::unique_ptr<Group> group =
      std::move(*Group::create(sys::real_kernel(), owner, policy::GuestLimits({}, 0), SipKey{}));
  GroupMember first{*group, 0};
  GroupMember second{*group, 1};
};

TEST_F(GroupMemberTest, ItKeepsItsOwnAndPassesOnTheRest) {
  const std::vector<Bytes> frames{frame_of(0), frame_of(1), frame_of(2), frame_of(1)};
  const auto burst = burst_of(frames);
  const auto own = second.keep_own(burst);
  second.pass_on_rest(true);
  ASSERT_EQ(own.size(), 2U);
  EXPECT_EQ(own[0].bytes.data(), frames[1].data()) << "its own are not copied";
  EXPECT_EQ(own[1].bytes.data(), frames[3].data());
  EXPECT_FALSE(second.is_blocked());
  for (const std::uint32_t other : {0U, 2U}) {
    const Inbox::Mail mail = mail_of(other);
    ASSERT_EQ(mail.posts.size(), 1U);
    const auto& parcel = std::get<Parcel>(mail.posts[0]);
    ASSERT_EQ(parcel.size(), 1U);
    EXPECT_TRUE(std::ranges::equal(parcel.frame(0).bytes, frames[other]));
  }
}

TEST_F(GroupMemberTest, WhatFindsNoRoomIsKeptAndHoldsUpTheLink) {
  fill(2);
  const std::vector<Bytes> frames{frame_of(2), frame_of(0)};
  const auto burst = burst_of(frames);
  EXPECT_TRUE(second.keep_own(burst).empty());
  second.pass_on_rest(true);
  EXPECT_TRUE(second.is_blocked());
  EXPECT_EQ(mail_of(0).posts.size(), 1U) << "others are not held up";
  EXPECT_FALSE(second.try_again());
  const Inbox::Mail mail = mail_of(2);
  EXPECT_EQ(mail.waiting, std::vector<std::uint32_t>{1});
  EXPECT_TRUE(second.try_again());
  EXPECT_FALSE(second.is_blocked());
  EXPECT_EQ(mail_of(2).posts.size(), 1U);
}

TEST_F(GroupMemberTest, CopiesOfWhatWasGoneArePassedToNobody) {
  const std::vector<Bytes> frames{frame_of(0), frame_of(1)};
  const auto burst = burst_of(frames);
  EXPECT_EQ(second.keep_own(burst).size(), 1U);
  second.pass_on_rest(false);
  EXPECT_TRUE(mail_of(0).posts.empty());
  EXPECT_FALSE(second.is_blocked());
  (void)second.keep_own(burst);
  second.pass_on_rest(true);
  ASSERT_EQ(mail_of(0).posts.size(), 1U) << "others that come later are";
}

TEST_F(GroupMemberTest, WhoTakesWakesThoseWhoWaited) {
  fill(0);
  const std::vector<Bytes> frames{frame_of(0)};
  const auto burst = burst_of(frames);
  (void)second.keep_own(burst);
  second.pass_on_rest(true);
  ASSERT_TRUE(second.is_blocked());
  std::uint64_t wakes = 0;
  EXPECT_LT(::read(second.inbox().fd(), &wakes, sizeof wakes), 0);
  Inbox::Mail mail;
  first.take(mail);
  EXPECT_EQ(::read(second.inbox().fd(), &wakes, sizeof wakes), 8);
  EXPECT_TRUE(second.try_again());
}

TEST_F(GroupMemberTest, AFrameThatNeedNotArriveIsNotKept) {
  EXPECT_TRUE(first.pass_on(frame_of(1)));
  EXPECT_EQ(mail_of(1).posts.size(), 1U);
  fill(1);
  EXPECT_FALSE(first.pass_on(frame_of(1)));
  EXPECT_FALSE(first.is_blocked());
}

TEST_F(GroupMemberTest, ReportsComeToTheFirstInOnePost) {
  second.flush_reports();
  EXPECT_TRUE(mail_of(0).posts.empty());
  for (int i = 0; i < 3; ++i) second.report({});
  second.flush_reports();
  const Inbox::Mail mail = mail_of(0);
  ASSERT_EQ(mail.posts.size(), 1U);
  EXPECT_EQ(std::get<FlowsEnded>(mail.posts[0]).flows.size(), 3U);
}

TEST_F(GroupMemberTest, AFloodOfReportsHoldsUpTheLinkThatBringsThem) {
  fill(0);
  second.report({});
  second.flush_reports();
  EXPECT_TRUE(second.is_blocked());
  const Inbox::Mail mail = mail_of(0);
  EXPECT_EQ(mail.posts.size(), 2U) << "none is lost";
  EXPECT_EQ(mail.waiting, std::vector<std::uint32_t>{1});
  EXPECT_TRUE(second.try_again());
}

TEST_F(GroupMemberTest, OnlySoManyClientsWait) {
  std::uint32_t taken = 0;
  for (; taken < 10'000; ++taken) {
    ClientAccepted client;
    client.peer = endpoint("192.0.2.7:4000");
    if (!first.hand_over(2, client)) break;
  }
  EXPECT_EQ(taken, 256U);
  EXPECT_EQ(mail_of(2).posts.size(), 256U);
}

TEST_F(GroupMemberTest, NewsOfTheGuestIsToldOnce) {
  flow::GuestSeen seen{.mac = {{2, 0, 0, 0, 0, 9}}, .addresses = {}};
  second.tell_guest(seen);
  EXPECT_EQ(mail_of(0).guest, seen);
  EXPECT_EQ(mail_of(2).guest, seen);
  EXPECT_EQ(mail_of(1).guest, std::nullopt);
  second.tell_guest(seen);
  EXPECT_EQ(mail_of(0).guest, std::nullopt);
  first.heard_guest(seen);
  first.tell_guest(seen);
  EXPECT_EQ(mail_of(1).guest, std::nullopt) << "who was told does not tell it again";
}

TEST_F(GroupMemberTest, NewsOfTheHostIsTold) {
  first.tell_host({.addresses = {{wire::parse_ip("192.0.2.1").value()}}, .nat64 = {}});
  EXPECT_EQ(first.nat64_told(), 0U);
  first.tell_host({.addresses = {}, .nat64 = {wire::parse_prefix("64:ff9b::/96").value()}});
  EXPECT_EQ(first.nat64_told(), 1U);
  const Inbox::Mail mail = mail_of(2);
  ASSERT_TRUE(mail.host.has_value());
  EXPECT_TRUE(mail.host->addresses.has_value());
  EXPECT_EQ(mail.host->nat64.size(), 1U);
}

}  // namespace
}  // namespace sluice::driver
