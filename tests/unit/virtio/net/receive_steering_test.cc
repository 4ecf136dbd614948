#include "virtio/net/receive_steering.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::virtio {
namespace {

using namespace std::string_literals;

const std::string kGuest4 = "\x0a\0\x02\x0f"s;
const std::string kRemote4 = "\xc0\0\x02\x01"s;
const std::string kGuest6 = "\xfd"s + std::string(14, '\0') + "\x15"s;
const std::string kRemote6 = "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01"s;

struct Flow {
  bool v6 = false;
  char protocol = 6;
  std::string guest_port = "\x80\x01"s;
  std::string remote_port = "\0\x50"s;
};

[[nodiscard]] std::string frame_of(const Flow& flow, bool from_guest) {
  const std::string& guest = flow.v6 ? kGuest6 : kGuest4;
  const std::string& remote = flow.v6 ? kRemote6 : kRemote4;
  std::string bytes(12, 'm');
  if (flow.v6) {
    bytes += "\x86\xdd\x60\0\0\0\0\x14"s + flow.protocol + "\x40"s;
  } else {
    bytes += "\x08\0\x45\0\0\x28\0\0\0\0\x40"s + flow.protocol + "\0\0"s;
  }
  bytes += from_guest ? guest + remote : remote + guest;
  bytes += from_guest ? flow.guest_port + flow.remote_port : flow.remote_port + flow.guest_port;
  return bytes + std::string(16, '\0');
}

[[nodiscard]] ByteView view(const std::string& bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

class ReceiveSteeringTest : public testing::Test {
 protected:
  void learn(const Flow& flow, std::size_t pair) {
    steering_.learn(view(frame_of(flow, true)), pair);
  }
  [[nodiscard]] std::size_t pair_of(const Flow& flow) const {
    return steering_.pair_of(view(frame_of(flow, false)));
  }
  ReceiveSteering steering_;
};

TEST_F(ReceiveSteeringTest, AFlowGoesBackByThePairItCameBy) {
  const Flow tcp;
  const Flow udp{.protocol = 17};
  const Flow v6{.v6 = true};
  const Flow other{.remote_port = "\0\x51"s};
  EXPECT_EQ(pair_of(tcp), 0U) << "nothing is known of it";
  learn(tcp, 1);
  learn(udp, 2);
  learn(v6, 3);
  learn(other, 4);
  EXPECT_EQ(pair_of(tcp), 1U);
  EXPECT_EQ(pair_of(udp), 2U);
  EXPECT_EQ(pair_of(v6), 3U);
  EXPECT_EQ(pair_of(other), 4U);
}

TEST_F(ReceiveSteeringTest, ItMovesWhenTheGuestMovesIt) {
  learn({}, 1);
  learn({}, 63);
  EXPECT_EQ(pair_of({}), 63U);
  learn({}, 0);
  EXPECT_EQ(pair_of({}), 0U);
}

TEST_F(ReceiveSteeringTest, WhatHasNoFlowGoesByTheFirst) {
  std::string arp(60, '\0');
  arp[12] = 8;
  arp[13] = 6;
  steering_.learn(view(arp), 1);
  EXPECT_EQ(steering_.pair_of(view(arp)), 0U);
  std::string fragment = frame_of({}, true);
  fragment[20] = 0x20;  // More fragments.
  steering_.learn(view(fragment), 1);
  EXPECT_EQ(pair_of({}), 0U);
  for (std::size_t size = 0; size < 60; ++size) {
    const std::string cut = frame_of({}, true).substr(0, std::min<std::size_t>(size, 37));
    steering_.learn(view(cut), 1);
    EXPECT_EQ(steering_.pair_of(view(cut)), 0U) << size;
  }
}

TEST_F(ReceiveSteeringTest, ForAnotherGuestItKnowsNothing) {
  learn({}, 5);
  steering_.forget();
  EXPECT_EQ(pair_of({}), 0U);
}

}  // namespace
}  // namespace sluice::virtio
