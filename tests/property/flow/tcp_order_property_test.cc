// Whatever segments of a stream arrive, in whatever order and bursts: the host gets a prefix.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

class TcpOrder : public TcpFixture {
 public:
  void TestBody() override {}

  // Hands a burst's bytes to a host that takes at most `takes` of each write.
  void deliver(const Connection& c, std::uint64_t takes) {
    engine().end_burst(BurstEnd::kDrained, {now, sink});
    for (std::size_t at = 0; at < sink.actions().size(); ++at) {
      const Action action = sink.actions()[at];
      if (const auto* stash = std::get_if<StashTcp>(&action)) {
        put(stash->offset, stash->bytes);
        tcp().on_stashed(stash->flow, stash->bytes.size(), stash->bytes.size());
      }
      const auto* write = std::get_if<WriteTcp>(&action);
      if (write == nullptr) continue;
      RC_ASSERT(write->offset == taken);
      std::uint64_t offset = write->offset;
      for (std::uint32_t i = write->first_range; i != kNoRange; i = sink.range(i).next) {
        put(offset, sink.range(i).bytes);
        offset += sink.range(i).bytes.size();
      }
      RC_ASSERT(offset <= write->until);
      const std::uint64_t count = std::min(takes, write->until - write->offset);
      taken += count;
      tcp().on_written(c.id, {count, 0, 64 * 1024}, {now, sink});
    }
    collect();
    clear();
  }
  void put(std::uint64_t offset, ByteView bytes) {
    if (host.size() < offset + bytes.size()) host.resize(offset + bytes.size());
    std::ranges::copy(bytes, host.begin() + static_cast<std::ptrdiff_t>(offset));
  }

  Bytes host;
  std::uint64_t taken = 0;

  Connection begin() { return establish(); }
  GuestSegment piece(const Connection& c, std::uint64_t offset, std::size_t length) {
    return data(c, offset, length);
  }
  void add(const GuestSegment& segment) { frame(tcp_frame(network(), segment)); }
  const TcpFlow* state_of(const Connection& c) { return flow(c); }
};

RC_GTEST_PROP(TcpOrderProperty, DeliveredBytesAreAPrefix, ()) {
  TcpOrder guest;
  const auto c = guest.begin();
  std::uint64_t reach = 0;  // Every byte before it was sent at least once.
  const int count = *rc::gen::inRange(1, 60);
  for (int i = 0; i < count; ++i) {
    const auto length = *rc::gen::inRange<std::size_t>(1, 1200);
    const auto shift = *rc::gen::inRange<std::int64_t>(-2000, 3000);
    const auto offset = static_cast<std::uint64_t>(std::max<std::int64_t>(
        0,
        static_cast<std::int64_t>(reach) + (shift < 0 ? shift : 0) + (shift > 1500 ? shift : 0)));
    guest.add(guest.piece(c, offset, length));
    if (offset <= reach) reach = std::max(reach, offset + length);
    if (*rc::gen::inRange(0, 3) == 0) {
      guest.deliver(c, *rc::gen::element<std::uint64_t>(0, 100, 100'000, 100'000, 100'000));
    }
  }
  guest.deliver(c, 100'000);
  RC_ASSERT(guest.host.size() >= guest.taken);
  const Bytes prefix(guest.host.begin(),
                     guest.host.begin() + static_cast<std::ptrdiff_t>(guest.taken));
  RC_ASSERT(prefix == stream(0, guest.taken));
  const auto* state = std::get_if<Relaying>(&guest.state_of(c)->state);
  RC_ASSERT(state != nullptr);
  RC_ASSERT(state->rx.stream_offset == guest.taken);
  RC_ASSERT(state->rx.acknowledged == state->rx.received);
}

}  // namespace
}  // namespace sluice::flow::test
