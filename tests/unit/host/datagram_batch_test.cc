#include "host/datagram_batch.h"

#include <gtest/gtest.h>

#include <vector>

#include "unit/sys/fake_kernel.h"

namespace sluice::host {
namespace {

// A place of its own for each number.
OutgoingDatagram to(std::uint16_t number) {
  return {.target = {wire::IpAddress::v4(0x0a000001), wire::Port{number}}};
}

class DatagramBatchTest : public testing::Test {
 protected:
  sys::FakeKernel kernel;
  DatagramScratch scratch;
  DatagramBatch batch{scratch};
  UdpSocket socket = UdpSocket::open(kernel, wire::IpFamily::kV4).value();
};

TEST_F(DatagramBatchTest, EqualSizesShareASendAndAShorterOneEndsIt) {
  const std::vector<std::uint8_t> bytes(3000);
  const ByteView all(bytes);
  for (const std::size_t size : {1000UL, 1000UL, 400UL, 1000UL, 0UL, 0UL, 1453UL, 1453UL}) {
    ASSERT_TRUE(batch.add(all.first(size), 0));
  }
  // {1000, 1000, 400}, {1000}, {}, {}, {1453}, {1453}
  kernel.script("sendmmsg", 6);
  const BatchResult result = batch.flush(socket);
  EXPECT_EQ(result.bytes, 3400U + 2 * 1453U);
  EXPECT_EQ(result.dropped, 0U);
  EXPECT_EQ(kernel.count("sendmmsg"), 1U);
  EXPECT_TRUE(batch.empty());
}

TEST_F(DatagramBatchTest, AFullSocketDropsAndCounts) {
  const std::vector<std::uint8_t> bytes(3000);
  ASSERT_TRUE(batch.add(ByteView(bytes), 1000));
  ASSERT_TRUE(batch.add(ByteView(bytes).first(2500), 1000));
  ASSERT_TRUE(batch.add(ByteView(bytes).first(10), 0));
  kernel.script("sendmmsg", 1);
  kernel.script("sendmmsg", -1, EAGAIN);
  const BatchResult result = batch.flush(socket);
  EXPECT_EQ(result.bytes, 3000U);
  EXPECT_EQ(result.dropped, 4U);
  EXPECT_EQ(result.error(), 0);
  EXPECT_EQ(kernel.count("sendmmsg"), 2U);  // It is not tried again and again.
}

TEST_F(DatagramBatchTest, ARefusedOneIsSkippedAndTold) {
  batch.direct(to(1));
  const std::vector<std::uint8_t> bytes(2000);
  ASSERT_TRUE(batch.add(ByteView(bytes), 0));
  ASSERT_TRUE(batch.add(ByteView(bytes).first(1500), 0));
  kernel.script("sendmmsg", -1, EPERM);
  kernel.script("sendmmsg", -1, EPERM);
  kernel.script("sendmmsg", 1);
  const BatchResult result = batch.flush(socket);
  EXPECT_EQ(result.bytes, 1500U);
  EXPECT_EQ(result.dropped, 1U);
  EXPECT_EQ(result.error(), EPERM);
  ASSERT_EQ(result.refusals.size(), 1U);
  EXPECT_EQ(result.refusals[0].target, to(1).target);
}

TEST_F(DatagramBatchTest, SaysWhenItIsFull) {
  const std::vector<std::uint8_t> bytes(2000);
  std::size_t added = 0;
  while (batch.add(ByteView(bytes), 0)) ++added;
  EXPECT_EQ(added, 64U);
  kernel.script("sendmmsg", 64);
  EXPECT_EQ(batch.flush(socket).bytes, 128'000U);
  EXPECT_TRUE(batch.add(ByteView(bytes), 0));
}

TEST_F(DatagramBatchTest, OnlyWhatGoesTheSameWaySharesASend) {
  const std::vector<std::uint8_t> bytes(100);
  const auto with = [](auto change) {
    OutgoingDatagram route = to(1);
    change(route);
    return route;
  };
  const std::vector<OutgoingDatagram> routes{
      to(1), to(2), with([](OutgoingDatagram& route) { route.hop_limit = 9; }),
      with([](OutgoingDatagram& route) { route.source = wire::IpAddress::v4(0x0a000002); }),
      with([](OutgoingDatagram& route) { route.scope_id = 3; })};
  for (const OutgoingDatagram& route : routes) {
    EXPECT_FALSE(batch.goes_to(route.target, route.hop_limit, route.source));
    batch.direct(route);
    EXPECT_EQ(batch.goes_to(route.target, route.hop_limit, route.source), route.scope_id == 0);
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(batch.add(ByteView(bytes), 0));
  }
  // A way that was left and is taken again keeps the order.
  batch.direct(to(1));
  ASSERT_TRUE(batch.add(ByteView(bytes), 0));
  kernel.script("sendmmsg", 1);
  kernel.script("sendmmsg", -1, EAGAIN);
  const BatchResult result = batch.flush(socket);
  EXPECT_EQ(kernel.last("sendmmsg")->first, 200);  // Of the second send.
  EXPECT_EQ(result.bytes, 200U);
  EXPECT_EQ(result.dropped, 9U);
  EXPECT_EQ(result.error(), 0);
}

TEST_F(DatagramBatchTest, ASendHasAsManySegmentsAndBytesAsTheKernelTakes) {
  const std::vector<std::uint8_t> bytes(1452);
  for (int i = 0; i < 65; ++i) ASSERT_TRUE(batch.add(ByteView(bytes).first(10), 0));
  for (int i = 0; i < 45; ++i) ASSERT_TRUE(batch.add(ByteView(bytes), 0));
  kernel.script("sendmmsg", 1);
  kernel.script("sendmmsg", 1);
  kernel.script("sendmmsg", 1);
  kernel.script("sendmmsg", 1);
  const std::size_t before = kernel.calls.size();
  EXPECT_EQ(batch.flush(socket).dropped, 0U);
  std::vector<long> sends;
  for (std::size_t i = before; i < kernel.calls.size(); ++i) {
    if (kernel.calls[i].name == "sendmmsg") sends.push_back(kernel.calls[i].first);
  }
  EXPECT_EQ(sends, (std::vector<long>{640, 10, 44 * 1452, 1452}));
}

TEST_F(DatagramBatchTest, OneThatIsClearedSendsNothing) {
  const std::vector<std::uint8_t> bytes(100);
  ASSERT_TRUE(batch.add(ByteView(bytes), 0));
  batch.clear();
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(batch.flush(socket).bytes, 0U);
  EXPECT_EQ(kernel.count("sendmmsg"), 0U);
}

}  // namespace
}  // namespace sluice::host
