// A turn of the worker with nothing to do, while flows are alive: what an event that is not for
// them costs. Ten microseconds pass with each turn, so timers come due as they would.
#include <fmt/core.h>

#include "micro/guest_frames.h"

namespace sluice::bench {
namespace {

enum class Mix : std::uint8_t { kTcp, kThirds };  // TCP alone, or TCP, UDP and ICMP alike.

class Poll {
 public:
  static constexpr std::uint64_t kBatch = 100'000;

  Poll(Family family, std::size_t count, Mix mix) {
    for (std::size_t i = 0; i < count; ++i) {
      const auto port = static_cast<std::uint16_t>(10'000 + i);
      const std::size_t kind = mix == Mix::kTcp ? 0 : i % 3;
      if (kind == 0) {
        tcp_.emplace_back(driver_.network(), guest_endpoint(family, port),
                          remote_endpoint(family, 80));
        tcp_.back().establish(driver_);
      } else if (kind == 1) {
        frames_.push_back(datagram_frame(guest_endpoint(family, port),
                                         remote_endpoint(family, 9000), flow::test::stream(0, 64)));
      } else {
        frames_.push_back(echo_frame(remote_endpoint(family, 0).address, port, 56));
      }
    }
    restore();
  }
  // Every flow has some traffic, or it would end.
  void restore() {
    for (GuestTcp& guest : tcp_) driver_.turn(guest.ack());
    for (const Bytes& frame : frames_) driver_.turn(frame, kFinished);
    check();
    carried_ = driver_.carried.frames;
  }
  void operator()() {
    driver_.now += std::chrono::microseconds(10);
    driver_.turn();
  }
  void check() const {
    require(driver_.engine.flow_count() == tcp_.size() + frames_.size(), "all flows are alive");
    require(driver_.engine.tcp().size() == tcp_.size(), "as many of TCP as there should be");
    require(carried_ == 0 || driver_.carried.frames == carried_, "nothing is sent");
    driver_.require_no_drops();
  }

 private:
  mutable EngineDriver driver_;  // Engine::tcp() is not const.
  std::vector<GuestTcp> tcp_;
  std::vector<Bytes> frames_;
  std::uint64_t carried_ = 0;
};

const Registrar registrar([] {
  add<Poll>("poll_idle", Family::kV4, 0UL, Mix::kTcp);
  for (const Family family : kFamilies) {
    const std::string_view v = name_of(family);
    for (const std::size_t count : {1UL, 100UL, 1000UL}) {
      add<Poll>(fmt::format("poll_with_n_flows/{}/{}", count, v), family, count, Mix::kTcp);
    }
    for (const std::size_t count : {3UL, 99UL, 999UL}) {
      add<Poll>(fmt::format("poll_with_n_mixed_flows/{}/{}", count, v), family, count,
                Mix::kThirds);
    }
  }
});

}  // namespace
}  // namespace sluice::bench
