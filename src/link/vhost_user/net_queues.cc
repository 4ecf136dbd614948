#include "link/vhost_user/net_queues.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "link/vhost_user/ring_config.h"
#include "sys/steady_clock.h"

namespace sluice::link {
namespace {

// So many frames at once, and more are likely to follow before a kick would be worth its way.
constexpr std::size_t kWorthALook = 2;

[[nodiscard]] std::unexpected<VhostRefusal> refuse(std::string_view why) {
  return std::unexpected(VhostRefusal{std::string(why)});
}

}  // namespace

NetQueues::NetQueues(sys::Kernel& kernel, Kicks& kicks, Setup setup)
    : device_(setup.device),
      kicks_(&kicks),
      tell_(std::move(setup.tell)),
      shared_{.calls = RingCalls(kernel),
              .tell_fault = [this](std::size_t index,
                                   virtio::RingFault fault) { tell_fault(index, fault); },
              .clock = [&kernel] { return sys::steady_now(kernel); }},
      shares_(setup.workers) {
  const std::size_t pairs =
      std::min<std::size_t>(device_.queue_pairs_max, virtio::ReceiveSteering::kPairsMax);
  for (std::size_t i = 0; i < pairs; ++i) pairs_.emplace_back(i, shared_);
  if (setup.workers == 1) return;
  for (Share& share : shares_) share.mutex.share();
  for (Pair& pair : pairs_) pair.receive.mutex().share();
}

void NetQueues::lock_all() {
  if (shares_.size() > 1) {
    changes_ = true;
    gate_.lock();
  }
  for (Share& share : shares_) share.mutex.lock();
  for (Pair& pair : pairs_) pair.receive.mutex().lock();
}

void NetQueues::unlock_all() {
  for (Pair& pair : pairs_) pair.receive.mutex().unlock();
  for (Share& share : shares_) share.mutex.unlock();
  if (shares_.size() > 1) {
    changes_ = false;
    gate_.unlock();
  }
}

void NetQueues::enter(Share& share) {
  if (changes_.load(std::memory_order_relaxed)) [[unlikely]] {
    const std::scoped_lock wait(gate_);
  }
  share.mutex.lock();
  share.entered = true;
}

void NetQueues::leave(Share& share) {
  share.entered = false;
  share.mutex.unlock();
}

void NetQueues::set_features(std::uint64_t features) {
  accepted_ = virtio::FeatureSet(features);
  memory_.log_writes(accepted_.has(virtio::Feature::kLogAll));
  const virtio::NetHeaderFormat format = virtio::header_format(accepted_);
  for (Pair& pair : pairs_) {
    pair.receive.queue().set_format(format);
    pair.transmit.set_format(format);
  }
  // What others have built by the features of before must not reach a driver that took fewer.
  epoch_.fetch_add(1);
  for (std::size_t worker = 1; worker < shares_.size(); ++worker) wake_other(worker);
}

void NetQueues::clear_inflight(std::size_t index) {
  std::ranges::fill(memory_.inflight_of(index), std::uint8_t{0});
}

NetQueues::Place NetQueues::place_of(std::size_t index) {
  const bool control = accepted_.has(virtio::Feature::kCtrlVq) &&
                       index == virtio::control_queue_index(device_, accepted_);
  if (control) return {.queue = &control_.ring(), .ring = &control_ring_};
  if (index / 2 >= pairs_.size()) return {};
  Pair& pair = pairs_[index / 2];
  const std::size_t worker = index / 2 % shares_.size();
  if (index % 2 == 0) {
    return {.queue = &pair.receive.queue().ring(),
            .ring = &pair.receive.ring(),
            .pair = &pair,
            .worker = worker};
  }
  return {.queue = &pair.transmit.ring(),
          .ring = &pair.transmit_ring,
          .pair = &pair,
          .transmits = true,
          .worker = worker};
}

VhostDone NetQueues::start_ring(std::size_t index, const VhostRing& ring) {
  const Place place = place_of(index);
  if (place.queue == nullptr) return refuse("a ring belongs to no queue of the device");
  virtio::QueueConfig config = ring_config(ring, accepted_, memory_.guest());
  config.inflight = memory_.inflight_of(index);
  const auto started = place.queue->start(memory_.guest(), config);
  if (!started) return refuse(virtio::text_of(started.error()));
  if (!kicks_->watch(place.worker, index, ring.kick.get())) {
    place.queue->stop();
    return refuse("a descriptor for kicks cannot be watched");
  }
  *place.ring = &ring;
  shared_.calls.never_block(ring);
  if (place.pair == nullptr) {
    control_told_ = false;
    serve_control();
  } else if (place.transmits) {
    // Nobody kicks for what was there before.
    place.pair->looks = true;
    place.pair->transmit_told = false;
    wake_other(place.worker);
  } else {
    place.pair->receive.on_started();
    look_who_runs();
  }
  return {};
}

std::uint32_t NetQueues::stop_ring(std::size_t index) {
  const Place place = place_of(index);
  if (place.queue == nullptr || *place.ring == nullptr) return 0;
  if (place.transmits && place.pair->transmit.release()) shared_.calls.call(*place.ring);
  if (place.pair != nullptr && !place.transmits) place.pair->receive.drop_held();
  kicks_->unwatch(place.worker, (*place.ring)->kick.get());
  *place.ring = nullptr;
  const std::uint32_t base = place.queue->base();
  place.queue->stop();
  look_who_runs();
  return base;
}

void NetQueues::ring_changed(std::size_t index) {
  const Place place = place_of(index);
  if (place.queue == nullptr || *place.ring == nullptr) return;
  shared_.calls.never_block(**place.ring);
  if (place.pair == nullptr) {
    serve_control();
  } else if (place.transmits) {
    place.pair->looks = true;
    wake_other(place.worker);
  } else {
    look_who_runs();
  }
}

// Virtio 1.2, 5.1.6.5.5: a driver that has the control queue uses as many pairs as it said, of
// those that are there.
void NetQueues::look_who_runs() {
  const bool says = accepted_.has(virtio::Feature::kCtrlVq) && accepted_.has(virtio::Feature::kMq);
  const std::size_t used = says ? control_state_.queue_pairs : pairs_.size();
  std::uint64_t running = 0;
  for (std::size_t i = 0; i < std::min(used, pairs_.size()); ++i) {
    if (runs(pairs_[i].receive.ring())) running |= std::uint64_t{1} << i;
  }
  running_ = running;
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    ReceiveEnd& receive = pairs_[i].receive;
    if (!receive.holds() || (running >> i & 1) != 0) continue;
    if (running == 0) {
      receive.drop_held();
    } else {
      receive.hand_held_to(pairs_[static_cast<std::size_t>(std::countr_zero(running))].receive);
    }
  }
  wake_for_room(0);
}

void NetQueues::forget() {
  for (Pair& pair : pairs_) pair.receive.drop_held();
  memory_.clear();
  broken_ = false;
  accepted_ = {};
  epoch_.fetch_add(1);
  control_state_ = {};
  steering_.forget();
  for (std::size_t worker = 1; worker < shares_.size(); ++worker) wake_other(worker);
}

void NetQueues::on_kick(std::size_t worker, std::size_t ring) {
  Share& share = shares_[worker];
  enter(share);
  const Place place = place_of(ring);
  const bool is_mine = place.queue != nullptr && place.worker == worker;
  if (is_mine && place.transmits) place.pair->looks = true;
  leave(share);
  if (!is_mine || place.transmits) return;
  if (place.pair == nullptr) {
    // What a command says may concern all.
    const Exclusive all(*this);
    serve_control();
    return;
  }
  {
    const std::scoped_lock lock(place.pair->receive.mutex());
    place.pair->receive.deliver_held();
    place.pair->receive.call_if_due();
    note_broken();
  }
  wake_for_room(worker);
}

NetQueues::Seen NetQueues::read(std::size_t worker, virtio::FrameBurst& burst) {
  if (worker == 0 && control_looks_) [[unlikely]] {
    const Exclusive all(*this);
    serve_control();
  }
  Share& share = shares_[worker];
  enter(share);
  const std::size_t step = shares_.size();
  const std::size_t mine = (pairs_.size() - worker + step - 1) / step;
  for (std::size_t i = 0; i < mine; ++i) {
    read_pair(worker + (share.turn + i) % mine * step, burst);
  }
  share.turn = (share.turn + 1) % mine;
  share.epoch = epoch_.load();
  Seen seen{.more = worker == 0 && control_looks_ && runs(control_ring_),
            .features = virtio::link_features(accepted_)};
  for (std::size_t i = worker; i < pairs_.size(); i += step) {
    seen.more = seen.more || (pairs_[i].looks && runs(pairs_[i].transmit_ring));
  }
  note_broken();
  if (burst.frames().empty()) {
    release(worker);
  } else if (!shared_.held.none()) [[unlikely]] {
    ++shared_.heard;
  }
  return seen;
}

void NetQueues::read_pair(std::size_t number, virtio::FrameBurst& burst) {
  Pair& pair = pairs_[number];
  if (!pair.looks || !runs(pair.transmit_ring)) return;
  const std::size_t before = burst.frames().size();
  const bool learns = !std::has_single_bit(running_.load(std::memory_order_relaxed));
  do {
    const std::size_t known = burst.frames().size();
    const auto drained = pair.transmit.read(burst);
    if (!drained) {
      pair.looks = false;
      if (!std::exchange(pair.transmit_told, true)) {
        tell_fault(virtio::transmit_queue_index(number), drained.error());
      }
      return;
    }
    if (learns) {
      for (const wire::FrameIn& frame : burst.frames().subspan(known)) {
        steering_.learn(frame.bytes, number);
      }
    }
    if (!*drained || burst.frames().size() - before >= kWorthALook) {
      pair.transmit.ring().disable_kicks();
      return;
    }
  } while (pair.transmit.ring().enable_kicks());
  pair.looks = false;
}

void NetQueues::release(std::size_t worker) {
  Share& share = shares_[worker];
  if (!share.entered) return;
  publish(worker);
  leave(share);
}

void NetQueues::publish(std::size_t worker) {
  for (std::size_t i = worker; i < pairs_.size(); i += shares_.size()) {
    Pair& pair = pairs_[i];
    if (pair.transmit_ring != nullptr && pair.transmit.release()) {
      shared_.calls.call(pair.transmit_ring);
    }
  }
}

void NetQueues::serve_control() {
  if (!runs(control_ring_)) return;
  const auto served = control_.serve(
      {.accepted = accepted_, .queue_pairs_max = device_.queue_pairs_max}, control_state_);
  look_who_runs();
  if (served && served->call) shared_.calls.call(control_ring_);
  control_looks_ = served && served->more;
  if (!served && !std::exchange(control_told_, true)) {
    tell_fault(virtio::control_queue_index(device_, accepted_), served.error());
  }
}

std::size_t NetQueues::write(std::size_t worker, const wire::FrameBatch& batch) {
  const std::uint64_t running = running_.load(std::memory_order_relaxed);
  if (running == 0 || batch.empty()) return batch.size();
  const bool spread = !std::has_single_bit(running);
  const auto first = static_cast<std::size_t>(std::countr_zero(running));
  std::size_t lost = 0;
  std::uint64_t written = 0;
  Run run{.pair = first};
  if (const auto at = shares_[worker].room_at) {
    run.from = write_room(worker, batch);
    written |= std::uint64_t{1} << *at;
  }
  // Frames of a flow stand together, mostly: what goes by one pair is written at once.
  if (spread && run.from < batch.size()) run.pair = pair_of(batch, run.from, running);
  while (run.from < batch.size()) {
    std::size_t next = run.pair;
    run.until = spread ? run.from + 1 : batch.size();
    while (run.until < batch.size() && (next = pair_of(batch, run.until, running)) == run.pair) {
      ++run.until;
    }
    lost += write_run(worker, batch, run);
    written |= std::uint64_t{1} << run.pair;
    run = {.pair = next, .from = run.until};
  }
  for (; written != 0; written &= written - 1) {
    ReceiveEnd& receive = pairs_[static_cast<std::size_t>(std::countr_zero(written))].receive;
    const std::scoped_lock lock(receive.mutex());
    receive.call_if_due();
  }
  wake_for_room(worker);
  if (given_up_.load(std::memory_order_relaxed) != 0) [[unlikely]]
    lost += given_up_.exchange(0);
  return lost;
}

std::size_t NetQueues::pair_of(const wire::FrameBatch& batch, std::size_t frame,
                               std::uint64_t running) const {
  const auto at = batch.begin() + static_cast<std::ptrdiff_t>(frame);
  const std::size_t pair = steering_.pair_of(batch.header(*at));
  const bool is_there = (running >> pair & 1) != 0;
  return is_there ? pair : static_cast<std::size_t>(std::countr_zero(running));
}

std::size_t NetQueues::write_run(std::size_t worker, const wire::FrameBatch& batch,
                                 const Run& run) {
  ReceiveEnd& receive = pairs_[run.pair].receive;
  const std::scoped_lock lock(receive.mutex());
  if (shares_[worker].epoch != epoch_.load()) [[unlikely]]
    return run.until - run.from;
  const std::size_t lost = receive.write(batch, run.from, run.until);
  note_broken();
  return lost;
}

// What the first worker does is done in its turn, which goes on to read.
void NetQueues::wake_other(std::size_t worker) {
  if (worker != 0) kicks_->wake(worker);
}

// Under a lock that keeps the memory as it is.
void NetQueues::note_broken() {
  if (memory_.broken() && !broken_.exchange(true)) [[unlikely]]
    kicks_->wake(0);
}

void NetQueues::tell_fault(std::size_t index, virtio::RingFault fault) const {
  tell_(fmt::format("the guest broke its queue {}, which is not served until it is set up anew: {}",
                    index, virtio::text_of(fault)));
  kicks_->broke();
}

}  // namespace sluice::link
