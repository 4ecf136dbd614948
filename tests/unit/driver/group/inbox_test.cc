#include "driver/group/inbox.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <cstring>
#include <thread>

namespace sluice::driver {
namespace {

using Bytes = std::vector<std::uint8_t>;

class InboxTest : public ::testing::Test {
 protected:
  [[nodiscard]] static Parcel parcel_of(std::size_t bytes, std::uint8_t fill = 0) {
    Parcel parcel;
    parcel.add({Bytes(bytes, fill), {}});
    return parcel;
  }
  [[nodiscard]] static bool is_readable(const Inbox& inbox) {
    pollfd item{.fd = inbox.fd(), .events = POLLIN, .revents = 0};
    return ::poll(&item, 1, 0) == 1;
  }

  Inbox inbox{sys::real_kernel()};
  Inbox::Mail mail;
};

TEST_F(InboxTest, ItsOwnerTakesAllInTheOrderInWhichItCame) {
  ASSERT_TRUE(inbox.valid());
  EXPECT_FALSE(is_readable(inbox));
  Parcel parcel = parcel_of(10, 1);
  EXPECT_TRUE(inbox.post(parcel, 1));
  EXPECT_TRUE(parcel.empty());
  inbox.post(LinkGone{}, 0);
  parcel = parcel_of(20, 2);
  EXPECT_TRUE(inbox.post(parcel, 1));
  EXPECT_TRUE(is_readable(inbox));
  inbox.take(mail);
  EXPECT_FALSE(is_readable(inbox));
  ASSERT_EQ(mail.posts.size(), 3U);
  EXPECT_EQ(std::get<Parcel>(mail.posts[0]).frame(0).bytes.size(), 10U);
  EXPECT_TRUE(std::holds_alternative<LinkGone>(mail.posts[1]));
  EXPECT_EQ(std::get<Parcel>(mail.posts[2]).frame(0).bytes.size(), 20U);
  inbox.give_back(mail);
  inbox.take(mail);
  EXPECT_TRUE(mail.posts.empty());
}

TEST_F(InboxTest, OneWakeIsEnoughUntilItsOwnerLooks) {
  for (int i = 0; i < 5; ++i) inbox.post(LinkGone{}, 0);
  std::uint64_t wakes = 0;
  ASSERT_EQ(::read(inbox.fd(), &wakes, sizeof wakes), 8);
  EXPECT_EQ(wakes, 1U);
  inbox.take(mail);
  EXPECT_EQ(mail.posts.size(), 5U);
  inbox.post(LinkGone{}, 0);
  EXPECT_TRUE(is_readable(inbox));
}

TEST_F(InboxTest, AFullOneTakesNoParcelsAndTellsWhoToWake) {
  Parcel parcel = parcel_of(Inbox::kBytesMax);
  EXPECT_TRUE(inbox.has_room());
  EXPECT_TRUE(inbox.post(parcel, 1));
  EXPECT_FALSE(inbox.has_room());
  parcel = parcel_of(10);
  EXPECT_FALSE(inbox.post(parcel, 2));
  EXPECT_EQ(parcel.size(), 1U) << "it is the sender's to keep";
  EXPECT_FALSE(inbox.post(parcel, 2));
  EXPECT_FALSE(inbox.has_room_for(3));
  // What may not be lost finds a place.
  inbox.post(LinkGone{}, 0);
  inbox.take(mail);
  EXPECT_EQ(mail.posts.size(), 2U);
  EXPECT_EQ(mail.waiting, (std::vector<std::uint32_t>{2, 3}));
  inbox.give_back(mail);
  EXPECT_TRUE(inbox.post(parcel, 2));
  EXPECT_TRUE(inbox.has_room_for(3));
  inbox.take(mail);
  EXPECT_TRUE(mail.waiting.empty());
}

TEST_F(InboxTest, ItsParcelsAreUsedAgain) {
  Parcel parcel = parcel_of(100'000);
  const std::uint8_t* const memory = parcel.frame(0).bytes.data();
  ASSERT_TRUE(inbox.post(parcel, 1));
  inbox.take(mail);
  inbox.give_back(mail);
  parcel = parcel_of(10);
  ASSERT_TRUE(inbox.post(parcel, 1));
  parcel.add({Bytes(100'000), {}});
  EXPECT_EQ(parcel.frame(0).bytes.data(), memory);
}

TEST_F(InboxTest, OfNewsTheNewestIsEnough) {
  for (std::uint8_t last = 1; last < 9; ++last) {
    inbox.tell(flow::GuestSeen{.mac = {{2, 0, 0, 0, 0, last}}, .addresses = {}});
  }
  HostNews host;
  host.addresses = {wire::parse_ip("192.0.2.1").value()};
  inbox.tell(host);
  inbox.tell(HostNews{.addresses = {}, .nat64 = {wire::parse_prefix("64:ff9b::/96").value()}});
  HostNews asked;
  asked.resolvers.emplace().options = {"use-vc"};
  inbox.tell(asked);
  EXPECT_TRUE(is_readable(inbox));
  inbox.take(mail);
  ASSERT_TRUE(mail.guest.has_value());
  EXPECT_EQ(mail.guest->mac.octets[5], 8);
  ASSERT_TRUE(mail.host.has_value());
  EXPECT_EQ(mail.host->addresses, host.addresses);
  EXPECT_EQ(mail.host->nat64.size(), 1U);
  ASSERT_TRUE(mail.host->resolvers.has_value());
  EXPECT_TRUE(mail.host->resolvers->use_vc());
  inbox.give_back(mail);
  inbox.take(mail);
  EXPECT_FALSE(mail.guest.has_value());
  EXPECT_FALSE(mail.host.has_value());
}

TEST_F(InboxTest, WhatTheGuestsAddressesAreIsGathered) {
  const flow::GuestNetwork network;
  flow::GuestSeen v4{.mac = network.guest_mac, .addresses = {}};
  v4.addresses.learn(network, network.guest_v4);
  flow::GuestSeen v6{.mac = network.guest_mac, .addresses = {}};
  v6.addresses.learn(network, network.guest_v6);
  inbox.tell(v4);
  inbox.tell(v6);
  inbox.take(mail);
  EXPECT_TRUE(mail.guest->addresses.knows(wire::IpFamily::kV4));
  EXPECT_TRUE(mail.guest->addresses.knows(wire::IpFamily::kV6));
}

// Four threads send more than fits, and wait as workers do; nothing is lost, and each one's frames
// keep their order.
TEST_F(InboxTest, ThreadsThatWaitForRoomLoseNothing) {
  constexpr std::uint32_t kSenders = 4;
  constexpr std::uint32_t kFrames = 400;
  constexpr std::size_t kSize = 40'000;
  std::array<std::unique_ptr<Inbox>, kSenders> own;
  for (auto& one : own) one = std::make_unique<Inbox>(sys::real_kernel());
  std::vector<std::thread> threads;
  for (std::uint32_t sender = 0; sender < kSenders; ++sender) {
    threads.emplace_back([&, sender] {
      Parcel parcel;
      Bytes frame(kSize);
      Inbox::Mail mine;
      for (std::uint32_t i = 0; i < kFrames; ++i) {
        std::memcpy(frame.data(), &sender, sizeof sender);
        std::memcpy(frame.data() + 4, &i, sizeof i);
        parcel.add({frame, {}});
        while (!inbox.post(parcel, sender)) {
          pollfd item{.fd = own[sender]->fd(), .events = POLLIN, .revents = 0};
          ASSERT_EQ(::poll(&item, 1, 60'000), 1) << "nobody said that there is room";
          own[sender]->take(mine);
          own[sender]->give_back(mine);
        }
      }
    });
  }
  std::array<std::uint32_t, kSenders> next{};
  std::uint32_t frames = 0;
  while (frames < kSenders * kFrames) {
    pollfd item{.fd = inbox.fd(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&item, 1, 60'000), 1);
    inbox.take(mail);
    for (const std::uint32_t sender : mail.waiting) own[sender]->wake();
    for (const Post& post : mail.posts) {
      const auto& parcel = std::get<Parcel>(post);
      for (std::size_t i = 0; i < parcel.size(); ++i, ++frames) {
        std::array<std::uint32_t, 2> head{};
        std::memcpy(head.data(), parcel.frame(i).bytes.data(), sizeof head);
        ASSERT_LT(head[0], kSenders);
        EXPECT_EQ(head[1], next[head[0]]++);
      }
    }
    inbox.give_back(mail);
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace sluice::driver
