#include "flow/udp/guest_calls.h"

#include <gtest/gtest.h>

#include "unit/flow/engine/guest_frames.h"

namespace sluice::flow::test {
namespace {

using policy::LoopbackUse;
using namespace std::chrono_literals;

class GuestCallsTest : public testing::Test {
 protected:
  static constexpr wire::IpFamily kFamily = wire::IpFamily::kV4;
  static constexpr wire::Port kPort{53};

  [[nodiscard]] std::unique_ptr<GuestCall> begin() const {
    return calls_.begin(kFamily, kPort, now_);
  }

  UdpSockets sockets_{HashSecret{}};
  GuestCalls calls_{sockets_};
  ActionSink out_;
  Instant now_{1000s};
  const Bytes bytes_ = Bytes(1000, 1);
};

TEST_F(GuestCallsTest, WhetherAndWhereItBeginsIsSaid) {
  EXPECT_EQ(begin(), nullptr);
  calls_.set(LoopbackUse::kWhereRefused, {});
  ASSERT_NE(begin(), nullptr);
  EXPECT_FALSE(begin()->server());
  calls_.set(LoopbackUse::kFirst, {});
  EXPECT_EQ(begin()->server(), endpoint("127.0.0.1:53"));
}

TEST_F(GuestCallsTest, AtPortsThatLeadOutWaitsOneOfUs) {
  calls_.set(LoopbackUse::kFirst, {{.protocol = policy::Protocol::kUdp,
                                    .address = {},
                                    .host_first = kPort,
                                    .guest_first = kPort}});
  EXPECT_EQ(begin(), nullptr);
  calls_.set_lead_out({{.protocol = policy::Protocol::kTcp,
                        .address = {},
                        .host_first = kPort,
                        .guest_first = kPort}});
  EXPECT_NE(begin(), nullptr) << "that is TCP's";
}

TEST_F(GuestCallsTest, AServerThatWasFoundIsAskedFirstForAMoment) {
  calls_.set(LoopbackUse::kWhereRefused, {});
  const auto call = begin();
  const auto other = begin();
  EXPECT_FALSE(calls_.waits_elsewhere(*other, now_));
  ASSERT_TRUE(call->next());
  EXPECT_TRUE(calls_.found(*call, now_));
  EXPECT_FALSE(calls_.found(*call, now_)) << "it was known";
  EXPECT_TRUE(begin()->server());
  EXPECT_TRUE(calls_.waits_elsewhere(*other, now_));
  EXPECT_FALSE(calls_.waits_elsewhere(*call, now_));
  calls_.lost(*call);
  EXPECT_FALSE(begin()->server());
  EXPECT_FALSE(calls_.waits_elsewhere(*other, now_));
  EXPECT_TRUE(calls_.found(*call, now_));
  now_ += 2s;
  EXPECT_FALSE(begin()->server());
}

TEST_F(GuestCallsTest, ItsSocketIsAskedForAndClosed) {
  calls_.set(LoopbackUse::kFirst, {});
  const auto call = begin();
  calls_.hang_up(*call, out_);
  EXPECT_TRUE(out_.actions().empty());
  calls_.ask(*call, 7, out_);
  const auto asked = std::get<OpenGuestUdp>(out_.actions().back());
  EXPECT_EQ(asked.socket, call->socket);
  EXPECT_EQ(asked.server, endpoint("127.0.0.1:53"));
  EXPECT_EQ(sockets_.find(asked.socket)->only, 7U);
  calls_.hang_up(*call, out_);
  EXPECT_EQ(std::get<CloseUdp>(out_.actions().back()).socket, asked.socket);
  EXPECT_EQ(sockets_.size(), 0U);
  EXPECT_FALSE(call->socket.valid());
}

TEST_F(GuestCallsTest, WhatIsKeptHasABoundForAllAndIsForgotten) {
  calls_.set(LoopbackUse::kWhereRefused, {});
  std::vector<std::unique_ptr<GuestCall>> all;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < GuestCalls::kKeptMax / bytes_.size() + 10; ++i) {
    all.push_back(begin());
    if (calls_.keep(*all.back(), {bytes_, 0}, now_)) kept += bytes_.size();
  }
  EXPECT_GT(kept, GuestCalls::kKeptMax - bytes_.size());
  EXPECT_LE(kept, GuestCalls::kKeptMax);
  EXPECT_FALSE(calls_.keep(*all.back(), {bytes_, 0}, now_));
  calls_.forget_kept(*all.front());
  EXPECT_TRUE(calls_.keep(*all.back(), {bytes_, 0}, now_));
}

TEST_F(GuestCallsTest, WhatWasSentLongAgoIsNotKept) {
  calls_.set(LoopbackUse::kWhereRefused, {});
  const auto call = begin();
  EXPECT_TRUE(calls_.keep(*call, {bytes_, 0}, now_));
  now_ += GuestCalls::kRefusedWithin;
  EXPECT_TRUE(calls_.keep(*call, {bytes_, 0}, now_));
  EXPECT_EQ(call->held.batches().size(), 1U);
  // But for what waits to be sent.
  ASSERT_TRUE(call->next());
  now_ += 10s;
  EXPECT_TRUE(calls_.keep(*call, {bytes_, 0}, now_));
  EXPECT_EQ(call->held.batches().size(), 2U);
  EXPECT_TRUE(calls_.found(*call, now_));
  EXPECT_FALSE(calls_.keep(*call, {bytes_, 0}, now_)) << "it was answered";
  EXPECT_TRUE(call->held.batches().empty());
}

}  // namespace
}  // namespace sluice::flow::test
