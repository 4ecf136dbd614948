#include "forward/session/connect_race.h"

#include <algorithm>
#include <utility>

#include "forward/target/target_socket.h"

namespace sluice::forward {

Race::~Race() {
  for (const SlabHandle runner : runners_) races_.runners_.erase(runner);
}

RaceStep ConnectRaces::begin(const RaceTrack& track, host::TcpSocket first) {
  track.race = std::make_unique<Race>(*this);
  const SlabHandle handle = enter(track, std::move(first));
  const host::TcpSocket& socket = runners_.at(handle.index).socket;
  // From here on its events must be told from those of the session's own socket, which another may
  // become in the same turn.
  if (!context_.loop.modify(socket.fd(), events_, EventTag::of(kind_, handle).pack())) {
    leave(*track.race, handle);
  }
  return go_on(track);
}

RaceStep ConnectRaces::go_on(const RaceTrack& track) {
  Race& race = *track.race;
  const Rule& plan = track.rule.plan;
  TargetSet& targets = track.rule.targets;
  while (const auto next = targets.beside(track.attempt, context_.now)) {
    // With fast open a connect would be a success that says nothing.
    auto started =
        open_stream_target(context_.kernel, plan.socket, *next, track.client, FastOpen::kNever);
    if (!started) {
      race.error_ = started.error().error;
      // Those under way go on. The address is not to blame.
      if (sys::is_exhaustion(race.error_)) break;
      targets.set_back(track.attempt.target, track.attempt.address, context_.now);
      continue;
    }
    if (race.runners_.size() == kRunnersMax) {
      const SlabHandle oldest = race.runners_.front();
      targets.set_back(track.attempt.target, runners_.at(oldest.index).address, context_.now);
      leave(race, oldest);
    }
    const SlabHandle handle = enter(track, std::move(started->socket));
    const int fd = runners_.at(handle.index).socket.fd();
    if (!context_.loop.add(fd, events_, EventTag::of(kind_, handle).pack())) {
      leave(race, handle);
      race.error_ = ENOSPC;
      break;
    }
    if (started->progress == host::ConnectProgress::kEstablished) {
      return won(track, handle, {.outcome = host::ConnectOutcome::kEstablished});
    }
    race.next_at_ = context_.now + delay(plan.timeouts.connect);
    return {};
  }
  race.next_at_ = kNever;
  if (race.runners_.empty()) return lost(track, race.error_);
  return {};
}

std::optional<SlabHandle> ConnectRaces::session_of(EventTag tag) const {
  const SlabHandle handle = tag.handle_in(runners_);
  const Runner* const runner = runners_.find(handle);
  if (runner == nullptr) return std::nullopt;
  return runner->session;
}

RaceStep ConnectRaces::on_event(const RaceTrack& track, EventTag tag, std::uint32_t events) {
  if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) return {};
  const SlabHandle handle = tag.handle_in(runners_);
  Runner& runner = runners_.at(handle.index);
  const host::ConnectReport report = host::connect_outcome(runner.socket);
  if (report.outcome != host::ConnectOutcome::kFailed) return won(track, handle, report);
  track.race->error_ = report.error;
  track.rule.targets.set_back(track.attempt.target, runner.address, context_.now);
  leave(*track.race, handle);
  return go_on(track);
}

RaceStep ConnectRaces::give_up(const RaceTrack& track) {
  for (const SlabHandle handle : track.race->runners_) {
    track.rule.targets.set_back(track.attempt.target, runners_.at(handle.index).address,
                                context_.now);
  }
  return lost(track, ETIMEDOUT);
}

SlabHandle ConnectRaces::enter(const RaceTrack& track, host::TcpSocket socket) {
  const SlabHandle handle = runners_.emplace();
  Runner& runner = runners_.at(handle.index);
  runner.socket = std::move(socket);
  runner.address = track.attempt.address;
  runner.session = track.session;
  track.race->runners_.push_back(handle);
  return handle;
}

void ConnectRaces::leave(Race& race, SlabHandle handle) {
  std::erase(race.runners_, handle);
  runners_.erase(handle);
}

// Those that began before it had their head start and did not use it.
RaceStep ConnectRaces::won(const RaceTrack& track, SlabHandle handle,
                           const host::ConnectReport& report) {
  bool before = true;
  for (const SlabHandle other : track.race->runners_) {
    Runner& runner = runners_.at(other.index);
    if (other == handle) {
      before = false;
      track.attempt.address = runner.address;
      continue;
    }
    if (before) track.rule.targets.set_back(track.attempt.target, runner.address, context_.now);
    // One that was answered at the same moment is to see at once that nobody wants it.
    runner.socket.reset();
  }
  RaceStep step{.state = RaceState::kWon,
                .winner = std::move(runners_.at(handle.index).socket),
                .reset = report.outcome == host::ConnectOutcome::kEstablishedThenReset,
                .error = report.error};
  track.race.reset();
  return step;
}

RaceStep ConnectRaces::lost(const RaceTrack& track, int error) {
  track.race.reset();
  return {.state = RaceState::kLost, .error = error};
}

}  // namespace sluice::forward
