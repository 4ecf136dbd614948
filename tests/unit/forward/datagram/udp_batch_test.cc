// Batches of datagrams, what a throttle lets pass, the table of sessions and the refusals' memory.
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "forward/datagram/datagram_batch.h"
#include "forward/datagram/datagram_throttle.h"
#include "forward/udp/udp_refusals.h"
#include "forward/udp/udp_session_table.h"
#include "unit/forward/udp/udp_fixture.h"
#include "unit/sys/fake_kernel.h"

namespace sluice::forward {
namespace {

using namespace testing;

class DatagramBatchTest : public ::testing::Test {
 protected:
  sys::FakeKernel kernel;
  host::DatagramScratch scratch;
  DatagramBatch batch{scratch};
  host::UdpSocket socket = host::UdpSocket::open(kernel, wire::IpFamily::kV4).value();
};

TEST_F(DatagramBatchTest, EqualSizesShareASendAndAShorterOneEndsIt) {
  const Bytes bytes(3000);
  const ByteView all(bytes);
  for (const std::size_t size : {1000UL, 1000UL, 400UL, 1000UL, 0UL, 0UL, 1453UL, 1453UL}) {
    ASSERT_TRUE(batch.add(all.first(size), 0));
  }
  // {1000, 1000, 400}, {1000}, {}, {}, {1453}, {1453}
  kernel.script("sendmmsg", 6);
  const BatchResult result = batch.flush(socket, {});
  EXPECT_EQ(result.bytes, 3400U + 2 * 1453U);
  EXPECT_EQ(result.dropped, 0U);
  EXPECT_EQ(kernel.count("sendmmsg"), 1U);
  EXPECT_TRUE(batch.empty());
}

TEST_F(DatagramBatchTest, AFullSocketDropsAndCounts) {
  const Bytes bytes(3000);
  ASSERT_TRUE(batch.add(ByteView(bytes), 1000));
  ASSERT_TRUE(batch.add(ByteView(bytes).first(2500), 1000));
  ASSERT_TRUE(batch.add(ByteView(bytes).first(10), 0));
  kernel.script("sendmmsg", 1);
  kernel.script("sendmmsg", -1, EAGAIN);
  const BatchResult result = batch.flush(socket, {});
  EXPECT_EQ(result.bytes, 3000U);
  EXPECT_EQ(result.dropped, 4U);
  EXPECT_EQ(result.error, 0);
  EXPECT_EQ(kernel.count("sendmmsg"), 2U);  // It is not tried again and again.
}

TEST_F(DatagramBatchTest, ARefusedOneIsSkipped) {
  const Bytes bytes(2000);
  ASSERT_TRUE(batch.add(ByteView(bytes), 0));
  ASSERT_TRUE(batch.add(ByteView(bytes).first(1500), 0));
  kernel.script("sendmmsg", -1, EPERM);
  kernel.script("sendmmsg", -1, EPERM);
  kernel.script("sendmmsg", 1);
  const BatchResult result = batch.flush(socket, {});
  EXPECT_EQ(result.bytes, 1500U);
  EXPECT_EQ(result.dropped, 1U);
  EXPECT_EQ(result.error, EPERM);
}

TEST_F(DatagramBatchTest, SaysWhenItIsFull) {
  const Bytes bytes(2000);
  std::size_t added = 0;
  while (batch.add(ByteView(bytes), 0)) ++added;
  EXPECT_EQ(added, 64U);
  kernel.script("sendmmsg", 64);
  EXPECT_EQ(batch.flush(socket, {}).bytes, 128'000U);
  EXPECT_TRUE(batch.add(ByteView(bytes), 0));
}

TEST(DatagramThrottle, WholeDatagramsPass) {
  const Instant now{100s};
  EXPECT_EQ(pass_throttle({}, 5000, 1000, now).bytes, 5000U);
  policy::TokenBucket bucket(100'000);  // A burst of 5,000.
  const relay::Throttle throttle{.rule = &bucket, .client = nullptr};
  EXPECT_EQ(bucket.available(now), 5000U);
  const Passed first = pass_throttle(throttle, 8000, 2000, now);
  EXPECT_EQ(first.bytes, 6000U);  // The third leaves a debt.
  EXPECT_EQ(first.dropped, 1U);
  const Passed second = pass_throttle(throttle, 0, 0, now);
  EXPECT_EQ(second.dropped, 1U);
  EXPECT_EQ(pass_throttle(throttle, 100, 0, now + 1s).dropped, 0U);
}

TEST(UdpSessionTableTest, EachPartOfAKeyCounts) {
  UdpSessionTable table({1, 2});
  const UdpSessionKey base{
      .client = {wire::IpAddress::v4(0x0a000001), wire::Port{1}}, .scope_id = 1, .listener = 1};
  std::vector<UdpSessionKey> keys(5, base);
  keys[1].client.address = wire::IpAddress::v4(0x0a000002);
  keys[2].client.port.value = 2;
  keys[3].scope_id = 2;
  keys[4].listener = 2;
  std::set<std::uint64_t> hashes;
  for (std::uint32_t i = 0; i < keys.size(); ++i) {
    table.insert(keys[i], i);
    hashes.insert(keys[i].hash({1, 2}));
  }
  const auto key_at = [&](std::uint32_t at) -> const UdpSessionKey& { return keys[at]; };
  for (std::uint32_t i = 0; i < keys.size(); ++i) EXPECT_EQ(table.find(keys[i], key_at), i);
  EXPECT_EQ(hashes.size(), keys.size());
  EXPECT_NE(base.hash({1, 2}), base.hash({1, 3}));
}

TEST(UdpRefusalsTest, OneLineForEachClientAndNotTooManyASecond) {
  UdpRefusals refusals({3, 4});
  const Instant now{100s};
  const wire::IpAddress client = wire::parse_ip("192.0.2.1").value();
  EXPECT_TRUE(refusals.worth_a_line(client, 0, SessionResult::kDenied, now));
  EXPECT_FALSE(refusals.worth_a_line(client, 0, SessionResult::kDenied, now + 59s));
  EXPECT_TRUE(refusals.worth_a_line(client, 1, SessionResult::kDenied, now));
  EXPECT_TRUE(refusals.worth_a_line(client, 0, SessionResult::kDenied, now + 61s));
  std::uint32_t lines = 0;
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    const auto other = wire::IpAddress::v4(0x0a000000 + i);
    lines += refusals.worth_a_line(other, 0, SessionResult::kDenied, now + 100s) ? 1 : 0;
  }
  EXPECT_EQ(lines, UdpRefusals::kLinesPerSecond);
}

}  // namespace
}  // namespace sluice::forward
