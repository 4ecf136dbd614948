// No allocation per frame: counts operator new while the engine works in its steady state.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <new>

#include "flow/engine/engine.h"
#include "unit/flow/engine/guest_frames.h"

namespace {

std::size_t allocations = 0;

void* counted(std::size_t size) {
  ++allocations;
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace sluice::flow::test {
namespace {

using namespace std::chrono_literals;

const wire::Endpoint kGuest = endpoint("10.0.2.15:40000");
const wire::Endpoint kServer = endpoint("198.51.100.7:80");

class NoAllocation : public testing::Test {
 protected:
  static EngineOptions options() {
    EngineOptions all;
    all.link = {.checksum = true, .tso = true, .uso = true};
    return all;
  }

  template <typename T>
  T last() {
    for (const Action& action : sink_.actions()) {
      if (const auto* one = std::get_if<T>(&action)) last_<T> = *one;
    }
    return last_<T>;
  }
  void clear() {
    sink_.clear_actions();
    sink_.frames().clear();
  }
  void feed(const Bytes& bytes) {
    engine_.on_frame(bytes, {}, {now_, sink_});
    engine_.end_burst(BurstEnd::kDrained, {now_, sink_});
  }

  template <typename T>
  static inline T last_{};

  Instant now_{1000s};
  Engine engine_{options(), {}, now_};
  ActionSink sink_;
};

TEST_F(NoAllocation, CounterCounts) {
  const std::size_t before = allocations;
  Bytes some(100);
  EXPECT_GT(allocations, before);
}

TEST_F(NoAllocation, TcpDataBothWays) {
  GuestSegment segment{.guest = kGuest,
                       .remote = kServer,
                       .sequence = wire::SeqNum{999},
                       .flags = wire::kSyn,
                       .options = {.mss = 1460, .window_scale = 7, .sack_permitted = true}};
  feed(tcp_frame(engine_.network(), segment));
  const TcpId id = last<ConnectTcp>().flow;
  clear();
  engine_.tcp().on_connected(id, 65'536, {now_, sink_});
  const ByteView header = sink_.frames().header(*sink_.frames().begin());
  wire::SeqNum ours = wire::TcpView::parse(header.subspan(34))->sequence() + 1;
  clear();
  segment = {.guest = kGuest, .remote = kServer, .sequence = wire::SeqNum{1000}};

  constexpr int kWarmUp = 50;
  constexpr int kRounds = 2000;
  const Bytes reply(20'000, 0x5a);
  std::vector<Bytes> frames;  // All are made beforehand.
  for (int i = 0; i < kWarmUp + kRounds; ++i) {
    segment.acknowledgment = ours + static_cast<std::uint32_t>(i * 20'000);
    segment.payload = stream(0, 1000);
    frames.push_back(tcp_frame(engine_.network(), segment));
    segment.sequence += 1000;
  }
  std::size_t before = 0;
  std::size_t written = 0;
  std::size_t peeked = 0;
  for (int i = 0; i < kWarmUp + kRounds; ++i) {
    if (i == kWarmUp) {
      before = allocations;
      written = peeked = 0;
    }
    now_ += 1ms;
    feed(frames[static_cast<std::size_t>(i)]);
    for (std::size_t at = 0; at < sink_.actions().size(); ++at) {
      const Action action = sink_.actions()[at];
      if (const auto* write = std::get_if<WriteTcp>(&action)) {
        written += write->until - write->offset;
        engine_.tcp().on_written(id, {write->until - write->offset, 0, 65'536}, {now_, sink_});
      }
    }
    engine_.tcp().on_readable(id, false, {now_, sink_});
    for (std::size_t at = 0; at < sink_.actions().size(); ++at) {
      const Action action = sink_.actions()[at];
      if (const auto* peek = std::get_if<PeekTcp>(&action)) {
        peeked += reply.size();
        engine_.tcp().on_peeked(id, {peek->sequence, PeekStatus::kData, reply, false},
                                {now_, sink_});
      }
    }
    if (engine_.next_wakeup() <= now_) engine_.on_timers({now_, sink_});
    clear();
  }
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(written, kRounds * 1000u);
  EXPECT_EQ(peeked, kRounds * reply.size());
}

TEST_F(NoAllocation, UdpBothWays) {
  const wire::Endpoint remote = endpoint("198.51.100.7:4000");
  const Bytes frame = udp_frame(engine_.network(), kGuest, remote, stream(0, 1000));
  const Bytes reply = stream(0, 1200);
  std::size_t before = 0;
  std::size_t sent = 0;
  UdpId socket;
  for (int i = 0; i < 2050; ++i) {
    if (i == 50) before = allocations;
    now_ += 1ms;
    feed(frame);
    for (const Action& action : sink_.actions()) {
      if (const auto* send = std::get_if<SendUdp>(&action)) {
        socket = send->socket;
        ++sent;
      }
    }
    engine_.udp().on_received(socket, remote, std::nullopt, reply, 0, {now_, sink_});
    if (engine_.next_wakeup() <= now_) engine_.on_timers({now_, sink_});
    clear();
  }
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(sent, 2050u);
}

}  // namespace
}  // namespace sluice::flow::test
