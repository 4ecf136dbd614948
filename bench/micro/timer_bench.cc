// The timer wheel with `count` timers armed: arm and cancel one more, move one, and let one expire.
#include <fmt/core.h>

#include "base/prng.h"
#include "base/timer_wheel.h"
#include "micro/harness.h"

namespace sluice::bench {
namespace {

constexpr Instant kStart{std::chrono::seconds(1000)};

class Timers {
 protected:
  explicit Timers(std::size_t count) : nodes_(count) {
    // A millisecond apart, from 0.1 s on.
    for (std::size_t i = 0; i < count; ++i) {
      wheel_.arm(nodes_[i], kStart + std::chrono::milliseconds(100 + i));
    }
  }
  // From a millisecond to a minute ahead, the same each time.
  [[nodiscard]] Duration delay() {
    return std::chrono::milliseconds(1 + static_cast<std::int64_t>(prng_.below(60'000)));
  }

  TimerWheel wheel_{kStart};
  std::vector<TimerNode> nodes_;

 private:
  Prng prng_{1};
};

class ArmCancel : Timers {
 public:
  explicit ArmCancel(std::size_t count) : Timers(count) {}
  void operator()() {
    wheel_.arm(one_, kStart + delay());
    require(one_.armed(), "it is armed");
    wheel_.cancel(one_);
  }
  void check() const { require(!one_.armed(), "it is cancelled"); }

 private:
  TimerNode one_;
};

class Rearm : Timers {
 public:
  explicit Rearm(std::size_t count) : Timers(count) {}
  void operator()() {
    TimerNode& node = nodes_[next_];
    if (++next_ == nodes_.size()) next_ = 0;
    wheel_.arm(node, kStart + delay());
  }
  void check() const {
    for (const TimerNode& node : nodes_) require(node.armed(), "each is armed");
  }

 private:
  std::size_t next_ = 0;
};

// A millisecond passes, one timer expires, and is armed again behind all others.
class Expire : Timers {
 public:
  explicit Expire(std::size_t count)
      : Timers(count), period_(std::chrono::milliseconds(count)), now_(kStart + kFirst) {}
  void operator()() {
    require(wheel_.next_wakeup() <= now_, "the wheel wants to be asked");
    TimerNode* const due = wheel_.pop_due(now_);
    require(due != nullptr && due->deadline() == now_, "one timer expires");
    require(wheel_.pop_due(now_) == nullptr, "and no other");
    wheel_.arm(*due, now_ + period_);
    now_ += std::chrono::milliseconds(1);
  }

 private:
  static constexpr Duration kFirst = std::chrono::milliseconds(100);

  Duration period_;
  Instant now_;
};

const Registrar registrar([] {
  for (const std::size_t count : {10UL, 1'000UL, 100'000UL}) {
    add<ArmCancel>(fmt::format("timer_arm_cancel/{}", count), count);
    add<Rearm>(fmt::format("timer_rearm/{}", count), count);
    add<Expire>(fmt::format("timer_expire/{}", count), count);
  }
});

}  // namespace
}  // namespace sluice::bench
