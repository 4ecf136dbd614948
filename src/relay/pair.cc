#include "relay/pair.h"

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace sluice::relay {
namespace {

using Step = Direction::Step;

// How long a side that takes nothing is waited for once the other has failed.
constexpr Duration kPatience = std::chrono::seconds{1};
// Its acknowledgements are asked for after 1, 2, 4, … ms: 1023 ms in all.
constexpr Duration kFirstPoll = std::chrono::milliseconds{1};
constexpr std::uint8_t kPollsMax = 10;

constexpr Side other(Side side) { return side == Side::kClient ? Side::kTarget : Side::kClient; }

constexpr bool failed(Direction::Result result) {
  return result.step == Step::kSourceFailed || result.step == Step::kTargetFailed;
}

}  // namespace

void Pair::start(host::TcpSocket client, host::TcpSocket target, const PairOptions& options,
                 Pools& pools) {
  client_ = std::move(client);
  target_ = std::move(target);
  client_end_ = options.client_end;
  to_target_.start(options.mode, options.client, options.to_target);
  to_client_.start(options.mode, options.target, options.to_client);
  // A client usually speaks first and at once. For the target an attempt would be a call for
  // nothing.
  to_target_.assume_source_readable();
  if (!to_target_.set_head(options.head_to_target, pools)) [[unlikely]] {
    failed_ = Side::kTarget;
    error_ = ENOMEM;
    resume_at_ = Instant{};
    phase_ = Phase::kAcknowledging;
  }
}

void Pair::note(Side side, std::uint32_t events) {
  direction_from(side).note_source(events);
  direction_from(other(side)).note_target(events);
  if ((events & EPOLLERR) != 0) errors_noted_ |= bit(side);
}

void Pair::note_failure(Side side, int error) {
  note(side, EPOLLERR);
  failed_ = side;
  error_ = error;
}

PairStatus Pair::pump(Pools& pools, Instant now) {
  switch (phase_) {
    case Phase::kJoined: return join(pools, now);
    case Phase::kDelivering: return deliver(pools, now);
    case Phase::kAcknowledging: return acknowledge(pools, now);
    case Phase::kEnded: return PairStatus::kEnded;
  }
  return PairStatus::kEnded;
}

[[gnu::noinline]] PairStatus Pair::join(Pools& pools, Instant now) {
  if (errors_noted_ != 0) [[unlikely]] {
    const Side side = (errors_noted_ & bit(Side::kClient)) != 0 ? Side::kClient : Side::kTarget;
    return fail(side, side == failed_ ? error_ : 0, pools, now);
  }
  const std::uint64_t forth_before = to_target_.moved();
  const std::uint64_t back_before = to_client_.moved();
  const auto forth = to_target_.pump(ends_from(Side::kClient), pools, now);
  if (failed(forth)) [[unlikely]] {
    return fail(forth.step == Step::kSourceFailed ? Side::kClient : Side::kTarget, forth.error,
                pools, now);
  }
  const auto back = to_client_.pump(ends_from(Side::kTarget), pools, now);
  if (failed(back)) [[unlikely]] {
    return fail(back.step == Step::kSourceFailed ? Side::kTarget : Side::kClient, back.error, pools,
                now);
  }
  if (to_target_.moved() != forth_before) to_client_.answered(ends_from(Side::kTarget), pools);
  if (to_client_.moved() != back_before) to_target_.answered(ends_from(Side::kClient), pools);
  if (to_target_.source_ended() || to_client_.source_ended()) {
    if (pass_ends(pools) == PairStatus::kEnded) return PairStatus::kEnded;
  }
  if (forth.step == Step::kShare || back.step == Step::kShare) return PairStatus::kMore;
  if (forth.step != Step::kLater && back.step != Step::kLater) return PairStatus::kWaiting;
  resume_at_ = std::min(forth.step == Step::kLater ? to_target_.resume_at() : kNever,
                        back.step == Step::kLater ? to_client_.resume_at() : kNever);
  return PairStatus::kLater;
}

// A FIN goes out with shutdown(), but the second one goes out with close().
PairStatus Pair::pass_ends(Pools& pools) {
  if (end_ == PairEnd::kStopped) {
    end_ = to_target_.source_ended() ? PairEnd::kClientClosed : PairEnd::kTargetClosed;
  }
  if (to_target_.ended() && to_client_.ended()) return finish(pools);
  for (const Side side : {Side::kClient, Side::kTarget}) {
    if (direction_from(side).ended()) pass_fin(side);
  }
  return PairStatus::kWaiting;
}

void Pair::pass_fin(Side side) {
  if ((fins_passed_ & bit(side)) != 0) return;
  fins_passed_ |= bit(side);
  // That it is not connected any more will be told by an event of its own.
  (void)socket(other(side)).shutdown_write();
}

[[gnu::cold]] PairStatus Pair::fail(Side side, int error, Pools& pools, Instant now) {
  failed_ = side;
  error_ = error;
  phase_ = Phase::kDelivering;
  // A write may have met the reset before any event told of it, and of the bytes before it.
  direction_from(side).note_source(EPOLLERR);
  direction_from(other(side)).release(pools);
  return deliver(pools, now);
}

[[gnu::cold]] PairStatus Pair::deliver(Pools& pools, Instant now) {
  Direction& direction = direction_from(failed_);
  if ((errors_noted_ & bit(other(failed_))) != 0) return finish(pools);
  while (!direction.ended()) {
    const std::uint64_t moved = direction.moved();
    const auto result = direction.pump(ends_from(failed_), pools, now);
    if (result.step == Step::kShare) return PairStatus::kMore;
    if (result.step == Step::kTargetFailed) return finish(pools);
    if (result.step == Step::kLater) {
      polls_ = 0;
      resume_at_ = direction.resume_at();
      return PairStatus::kLater;
    }
    if (result.step == Step::kFull) {
      if (polls_ == 0 || direction.moved() != moved) {
        polls_ = 1;
        resume_at_ = now + kPatience;
      }
      return now < resume_at_ ? PairStatus::kLater : finish(pools);
    }
    if (result.step == Step::kSourceFailed && error_ == 0) error_ = result.error;
    if (direction.held() == 0) break;
  }
  // A reset that came behind the FIN (EPIPE, not ECONNRESET) takes nothing of the stream away: who
  // reads it to its end finds an end there, as without us.
  if (direction.ended() && ask_error() == EPIPE) pass_fin(failed_);
  phase_ = Phase::kAcknowledging;
  polls_ = 0;
  resume_at_ = now;
  return acknowledge(pools, now);
}

[[gnu::cold]] int Pair::ask_error() {
  if (error_ == 0) {
    const auto result = socket(failed_).connect_result();
    error_ = result ? ECONNRESET : result.error().error;
  }
  return error_;
}

// A RST throws away what the peer's kernel has not acknowledged.
[[gnu::cold]] PairStatus Pair::acknowledge(Pools& pools, Instant now) {
  host::TcpSocket& survivor = socket(other(failed_));
  if ((errors_noted_ & bit(other(failed_))) != 0) return finish(pools);
  if (now < resume_at_) return PairStatus::kLater;
  const auto waiting = survivor.unacknowledged_bytes();
  if (!waiting || *waiting == 0 || polls_ == kPollsMax) return finish(pools);
  resume_at_ = now + kFirstPoll * (1 << polls_++);
  return PairStatus::kLater;
}

PairStatus Pair::finish(Pools& pools) {
  give_back(pools);
  if (phase_ != Phase::kJoined) [[unlikely]]
    finish_failed();
  if (client_end_ == ClientEnd::kKeep && phase_ == Phase::kJoined) {
    (void)client_.shutdown_write();
  } else {
    client_.close();
  }
  target_.close();
  phase_ = Phase::kEnded;
  return PairStatus::kEnded;
}

[[gnu::cold]] void Pair::finish_failed() {
  end_ = failed_ == Side::kClient ? PairEnd::kClientReset : PairEnd::kTargetReset;
  (void)ask_error();
  socket(other(failed_)).reset();
}

void Pair::stop(Pools& pools, StopHow how) {
  if (phase_ == Phase::kEnded) return;
  give_back(pools);
  for (const Side side : {Side::kClient, Side::kTarget}) {
    if (how == StopHow::kReset || !has_all(side)) socket(side).reset();
    socket(side).close();
  }
  end_ = PairEnd::kStopped;
  phase_ = Phase::kEnded;
}

void Pair::give_back(Pools& pools) {
  to_target_.release(pools);
  to_client_.release(pools);
}

}  // namespace sluice::relay
