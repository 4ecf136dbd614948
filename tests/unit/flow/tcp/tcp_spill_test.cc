// What windows promise of the spill is never more than it has, however many hosts stand still.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/stream_buffer.h"
#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

constexpr std::size_t kPool = 64 * 1024 * 1024;
constexpr std::uint32_t kKernelTakes = 70'000;

class TcpSpill : public TcpFixture {
 protected:
  // A host that reads nothing: its kernel takes so much, the rest waits.
  struct Stuck {
    Connection c;
    std::uint64_t taken = 0;
    std::uint64_t buffered = 0;
  };

  [[nodiscard]] Stuck open(std::uint16_t port) {
    return {.c = establish({.guest = {kGuest.address, wire::Port{port}}})};
  }
  [[nodiscard]] std::uint32_t window_of(const Connection& c) {
    return std::get<Relaying>(flow(c)->state).rx.open();
  }
  void send_one(Stuck& one, std::size_t length) {
    const Bytes bytes = tcp_frame(network(), data(one.c, one.c.sent, length));
    engine().on_frame(bytes, {}, {now, sink});
    engine().end_burst(BurstEnd::kDrained, {now, sink});
    collect();
    const std::uint64_t fits = std::min<std::uint64_t>(length, kKernelTakes - one.taken);
    used_ -= cost(one);
    one.c.next += static_cast<std::uint32_t>(length);
    one.c.sent += length;
    one.taken += fits;
    one.buffered += length - fits;
    used_ += cost(one);
    ASSERT_LE(used_, kPool);
    tcp().set_spill_free(kPool - used_);
    const auto room = static_cast<std::uint32_t>(one.buffered > 0 ? 0 : kKernelTakes - one.taken);
    tcp().on_written(one.c.id, {length, static_cast<std::uint32_t>(one.buffered), room},
                     {now, sink});
    collect();
    clear();
  }
  // As much as the kernel takes, and not a byte for the spill.
  void fill_kernel(Stuck& one) {
    while (one.taken < kKernelTakes) {
      const auto left = static_cast<std::uint32_t>(kKernelTakes - one.taken);
      send_one(one, std::min({window_of(one.c), left, 50'000U}));
      if (HasFatalFailure()) return;
    }
  }
  void fill(Stuck& one) {
    while (const std::uint32_t window = window_of(one.c)) {
      send_one(one, std::min<std::size_t>(window, 60'000));
      if (HasFatalFailure()) return;
    }
  }
  // The blocks of the pool that hold what waits.
  static std::size_t cost(const Stuck& one) {
    constexpr std::uint64_t kBlock = BlockPool::kBlockSize;
    if (one.buffered == 0) return 0;
    return ((one.c.sent - 1) / kBlock - (one.c.sent - one.buffered) / kBlock + 1) * kBlock;
  }

  std::size_t used_ = 0;
};

TEST_F(TcpSpill, HostsThatStandStillNeverGetMoreThanThereIs) {
  std::uint16_t port = 1000;
  for (int i = 0; i < 1000; ++i) {
    Stuck one = open(port++);
    ASSERT_NO_FATAL_FAILURE(fill(one));
  }
  EXPECT_EQ(drops(DropReason::kTcpBufferFull), 0u);
  // One whose host reads still has what its kernel takes, and a little more, so that it grows.
  Stuck moving = open(port++);
  fill_kernel(moving);
  tcp().on_room(moving.c.id, 0, 1'000'000, {now, sink});
  collect();
  EXPECT_GT(window_of(moving.c), 1'000'000u);
}

// All at once: each is promised its share before any of them is filled.
TEST_F(TcpSpill, PromisesThatWereNotUsedCount) {
  std::vector<Stuck> all;
  for (std::uint16_t port = 1000; port < 2000; ++port) {
    all.push_back(open(port));
    ASSERT_NO_FATAL_FAILURE(fill_kernel(all.back()));
  }
  for (Stuck& one : all) ASSERT_NO_FATAL_FAILURE(fill(one));
  EXPECT_EQ(drops(DropReason::kTcpBufferFull), 0u);
}

TEST_F(TcpSpill, AFlowThatEndsGivesItsPromiseBack) {
  Stuck first = open(1000);
  fill_kernel(first);
  const std::uint32_t window = window_of(first.c);
  for (std::uint16_t port = 1001; port < 1600; ++port) {
    Stuck one = open(port);
    fill_kernel(one);
    used_ -= cost(one);
    feed(rst(one.c));
    clear();
  }
  tcp().set_spill_free(kPool - used_);
  Stuck last = open(1600);
  fill_kernel(last);
  EXPECT_GE(window_of(last.c) + 1024, window);
}

}  // namespace
}  // namespace sluice::flow::test
