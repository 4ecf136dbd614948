// Connects to several addresses of one target that run side by side (RFC 8305, "Happy Eyeballs"):
// when the latest has not answered within a moment, or failed, the next begins; the first to answer
// wins, and the others are closed. TargetSet names the addresses and their order.
//
// A session begins alone, and most are answered before there is a race. A target that loses an
// address to another of its own has not failed; that address is merely tried last for a while, if
// it had its head start. Of one worker; not thread-safe.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/slab.h"
#include "base/time.h"
#include "forward/session/event_tag.h"
#include "forward/session/live_rule.h"
#include "forward/session/worker_context.h"
#include "forward/target/target_set.h"
#include "host/stream_connect.h"
#include "host/tcp_socket.h"
#include "wire/address.h"

namespace sluice::forward {

class ConnectRaces;

// Of one session. Ending it closes what is under way.
class Race {
 public:
  explicit Race(ConnectRaces& races) : races_(races) {}
  Race(const Race&) = delete;
  Race& operator=(const Race&) = delete;
  ~Race();

  // When the next address begins; kNever: none is left.
  [[nodiscard]] Instant next_at() const { return next_at_; }

 private:
  friend class ConnectRaces;
  ConnectRaces& races_;
  std::vector<SlabHandle> runners_;  // In the order in which they began.
  Instant next_at_ = kNever;
  int error_ = ETIMEDOUT;  // errno of the last that failed.
};

// What a step of a race needs to know of its session.
struct RaceTrack {
  LiveRule& rule;
  Attempt& attempt;
  const wire::Endpoint& client;
  SlabHandle session;
  std::unique_ptr<Race>& race;  // Null while there is none, and again once it is decided.
};

enum class RaceState : std::uint8_t {
  kRunning,
  kWon,
  kLost,  // No address is under way, and none is left: TargetSet::next_target().
};

struct RaceStep {
  RaceState state = RaceState::kRunning;
  host::TcpSocket winner = {};  // Of kWon. Its interest is still that of a runner.
  bool reset = false;           // The winner was reset since; what it sent before is still there.
  int error = 0;                // errno of a reset, or of kLost.
};

class ConnectRaces {
 public:
  // RFC 8305 section 8: the recommended Connection Attempt Delay.
  static constexpr Duration kDelay = std::chrono::milliseconds{250};
  // Under way at a time. Beyond it the oldest, which had its time, gives its place up.
  static constexpr std::size_t kRunnersMax = 8;

  // Runners are watched for `events` under `kind`.
  ConnectRaces(WorkerContext& context, EventKind kind, std::uint32_t events)
      : context_(context), kind_(kind), events_(events) {}

  // How long the latest address is waited for. Where a rule has little time for the whole, all who
  // can run at once have a part of it.
  [[nodiscard]] static Duration delay(Duration connect_timeout) {
    return std::min(kDelay, connect_timeout / static_cast<int>(kRunnersMax));
  }

  // When to look after the connect to a target's first address that was begun now.
  [[nodiscard]] Instant look_at(const Destination& destination, const Rule& plan,
                                Instant connect_until) const {
    if (!destination.others) return connect_until;
    return std::min(connect_until, context_.now + delay(plan.timeouts.connect));
  }
  // The first address has not answered in time; another begins beside it.
  [[nodiscard]] RaceStep begin(const RaceTrack& track, host::TcpSocket first);
  // next_at() has come.
  [[nodiscard]] RaceStep go_on(const RaceTrack& track);
  // Whose race an event of a runner's is about; nothing when it is decided.
  [[nodiscard]] std::optional<SlabHandle> session_of(EventTag tag) const;
  [[nodiscard]] RaceStep on_event(const RaceTrack& track, EventTag tag, std::uint32_t events);
  // The time for all of them is over.
  [[nodiscard]] RaceStep give_up(const RaceTrack& track);

  [[nodiscard]] std::size_t runners() const { return runners_.size(); }

 private:
  friend class Race;
  struct Runner {
    host::TcpSocket socket;
    std::uint32_t address = 0;  // Its position, as Attempt has it.
    SlabHandle session;
  };

  [[nodiscard]] SlabHandle enter(const RaceTrack& track, host::TcpSocket socket);
  void leave(Race& race, SlabHandle handle);
  [[nodiscard]] RaceStep won(const RaceTrack& track, SlabHandle handle,
                             const host::ConnectReport& report);
  [[nodiscard]] static RaceStep lost(const RaceTrack& track, int error);

  WorkerContext& context_;
  EventKind kind_;
  std::uint32_t events_;
  Slab<Runner> runners_;
};

}  // namespace sluice::forward
