#include "link/vhost_user/net_queues.h"

#include <fcntl.h>
#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace sluice::link {
namespace {

// So many frames at once, and more are likely to follow before a kick would be worth its way.
constexpr std::size_t kWorthALook = 2;

[[nodiscard]] std::unexpected<VhostRefusal> refuse(std::string_view why) {
  return std::unexpected(VhostRefusal{std::string(why)});
}

[[nodiscard]] bool runs(const VhostRing* ring) { return ring != nullptr && ring->enabled; }

// User Mode Linux begins a packed ring at 0, as if it were a split one. By that, both ends would
// stand at the first descriptor in an even turn, and it was used in the one before: a bit tells.
[[nodiscard]] bool is_unused(ByteView descriptors) {
  constexpr std::size_t kFlagsHigh = 15;  // Virtio 1.2, 2.8.1: bit 15 of the flags is USED.
  return descriptors.size() > kFlagsHigh && (descriptors[kFlagsHigh] & 0x80) == 0;
}

// Asks for a kick for buffers beyond those that are there, which are too few. True when some came
// meanwhile.
[[nodiscard]] bool await_buffers(virtio::Virtqueue& ring) {
  // An event index behind them would be one that the driver has passed.
  const auto rest = ring.take(virtio::kQueueSizeMax);
  const bool more = ring.enable_kicks();
  if (rest) ring.put_back(rest->size());
  return more;
}

}  // namespace

NetQueues::NetQueues(sys::Kernel& kernel, const virtio::NetDevice& device, Kicks& kicks, Tell tell)
    : kernel_(&kernel),
      device_(device),
      kicks_(&kicks),
      tell_(std::move(tell)),
      pairs_(device.queue_pairs_max) {}

VhostDone NetQueues::set_table(std::span<const VhostRegion> regions, std::vector<UniqueFd> files) {
  return memory_.set_table(regions, files);
}

VhostDone NetQueues::add_region(const VhostRegion& region, UniqueFd file) {
  return memory_.add(region, file);
}

VhostDone NetQueues::remove_region(const VhostRegion& region) { return memory_.remove(region); }

VhostDone NetQueues::set_log(const VhostLog& log, UniqueFd file) {
  return memory_.set_log(log, file);
}

void NetQueues::set_features(std::uint64_t features) {
  accepted_ = virtio::FeatureSet(features);
  memory_.log_writes(accepted_.has(virtio::Feature::kLogAll));
  const virtio::NetHeaderFormat format = virtio::header_format(accepted_);
  for (Pair& pair : pairs_) {
    pair.receive.set_format(format);
    pair.transmit.set_format(format);
  }
}

NetQueues::Place NetQueues::place_of(std::size_t index) {
  const bool control = accepted_.has(virtio::Feature::kCtrlVq) &&
                       index == virtio::control_queue_index(device_, accepted_);
  if (control) return {.queue = &control_.ring(), .ring = &control_ring_};
  if (index / 2 >= pairs_.size()) return {};
  Pair& pair = pairs_[index / 2];
  if (index % 2 == 0) {
    return {.queue = &pair.receive.ring(), .ring = &pair.receive_ring, .pair = &pair};
  }
  return {.queue = &pair.transmit.ring(),
          .ring = &pair.transmit_ring,
          .pair = &pair,
          .transmits = true};
}

virtio::QueueConfig NetQueues::config_of(const VhostRing& ring) const {
  virtio::QueueConfig config;
  config.size = ring.size;
  config.features = virtio::ring_features(accepted_);
  config.base = ring.base;
  const virtio::RingSizes sizes = virtio::ring_sizes(config.size, config.features);
  const virtio::GuestMemory& memory = memory_.guest();
  config.descriptors = memory.find_user(ring.address->descriptors, sizes.descriptors);
  config.driver = memory.find_user(ring.address->available, sizes.driver);
  config.device = memory.find_user(ring.address->used, sizes.device);
  if (config.features.packed) {
    // Nothing is under way in a ring that begins, so that both ends stand at one place. DPDK tells
    // that of what is available only.
    const std::uint32_t place = ring.base & 0xffff;
    const bool unused = ring.base == 0 && is_unused(config.descriptors);
    config.base = unused ? virtio::kPackedStart : place | (place << 16);
  }
  return config;
}

VhostDone NetQueues::start_ring(std::size_t index, const VhostRing& ring) {
  const Place place = place_of(index);
  if (place.queue == nullptr) return refuse("a ring belongs to no queue of the device");
  const auto started = place.queue->start(memory_.guest(), config_of(ring));
  if (!started) return refuse(virtio::text_of(started.error()));
  if (!kicks_->watch(index, ring.kick.get())) {
    place.queue->stop();
    return refuse("a descriptor for kicks cannot be watched");
  }
  *place.ring = &ring;
  never_block(ring);
  if (place.pair == nullptr) {
    control_told_ = false;
    serve_control();
  } else if (place.transmits) {
    // Nobody kicks for what was there before.
    place.pair->looks = true;
    place.pair->transmit_told = false;
  } else {
    place.pair->receive_told = false;
    place.queue->disable_kicks();
  }
  return {};
}

std::uint32_t NetQueues::stop_ring(std::size_t index) {
  const Place place = place_of(index);
  if (place.queue == nullptr || *place.ring == nullptr) return 0;
  if (place.transmits && place.pair->transmit.release()) call(*place.ring);
  if (place.pair == pairs_.data() && !place.transmits) drop_held();
  kicks_->unwatch((*place.ring)->kick.get());
  *place.ring = nullptr;
  const std::uint32_t base = place.queue->base();
  place.queue->stop();
  return base;
}

void NetQueues::ring_changed(std::size_t index) {
  const Place place = place_of(index);
  if (place.queue == nullptr || *place.ring == nullptr) return;
  never_block(**place.ring);
  if (place.pair != nullptr && place.transmits) place.pair->looks = true;
  if (place.pair == nullptr) serve_control();
}

void NetQueues::forget() {
  drop_held();
  memory_.clear();
  accepted_ = {};
  control_state_ = {};
}

void NetQueues::on_kick(std::size_t ring) {
  const Place place = place_of(ring);
  if (place.queue == nullptr) return;
  if (place.pair == nullptr) {
    serve_control();
  } else if (place.transmits) {
    place.pair->looks = true;
  } else {
    deliver_held();
  }
}

void NetQueues::read(virtio::FrameBurst& burst) {
  if (control_looks_) serve_control();
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    read_pair(pairs_[(turn_ + i) % pairs_.size()], burst);
  }
  turn_ = (turn_ + 1) % pairs_.size();
}

void NetQueues::read_pair(Pair& pair, virtio::FrameBurst& burst) {
  if (!pair.looks || !runs(pair.transmit_ring)) return;
  const std::size_t before = burst.frames().size();
  do {
    const auto drained = pair.transmit.read(burst);
    if (!drained) {
      pair.looks = false;
      const auto index = static_cast<std::size_t>(&pair - pairs_.data());
      if (!std::exchange(pair.transmit_told, true)) {
        tell_fault(virtio::transmit_queue_index(index), drained.error());
      }
      return;
    }
    if (!*drained || burst.frames().size() - before >= kWorthALook) {
      pair.transmit.ring().disable_kicks();
      return;
    }
  } while (pair.transmit.ring().enable_kicks());
  pair.looks = false;
}

bool NetQueues::may_have_more() const {
  if (control_looks_ && runs(control_ring_)) return true;
  return std::ranges::any_of(
      pairs_, [](const Pair& pair) { return pair.looks && runs(pair.transmit_ring); });
}

void NetQueues::release() {
  for (Pair& pair : pairs_) {
    if (pair.transmit_ring != nullptr && pair.transmit.release()) call(pair.transmit_ring);
  }
}

void NetQueues::serve_control() {
  if (!runs(control_ring_)) return;
  const auto served = control_.serve(
      {.accepted = accepted_, .queue_pairs_max = device_.queue_pairs_max}, control_state_);
  if (served && served->call) call(control_ring_);
  control_looks_ = served && served->more;
  if (!served && !std::exchange(control_told_, true)) {
    tell_fault(virtio::control_queue_index(device_, accepted_), served.error());
  }
}

std::size_t NetQueues::write(const wire::FrameBatch& batch) {
  if (!runs(pairs_.front().receive_ring)) return batch.size();
  if (!held_.empty()) deliver_held();
  const std::size_t delivered = held_.empty() ? deliver(batch, 0) : 0;
  return delivered == batch.size() ? 0 : hold(batch, delivered);
}

// Kicks of a receive queue are wanted only while there are frames and no buffers.
std::size_t NetQueues::deliver(const wire::FrameBatch& batch, std::size_t from) {
  Pair& pair = pairs_.front();
  virtio::Virtqueue& ring = pair.receive.ring();
  std::size_t next = from;
  while (next < batch.size()) {
    const virtio::ReceiveQueue::Filled filled = pair.receive.fill(batch, next);
    if (filled.call) call(pair.receive_ring);
    if (filled.next == batch.size()) return filled.next;
    if (const auto fault = ring.fault()) {
      if (!std::exchange(pair.receive_told, true)) tell_fault(0, *fault);
      return filled.next;
    }
    next = filled.next;
    if (!await_buffers(ring)) return next;
    ring.disable_kicks();
  }
  return next;
}

std::size_t NetQueues::hold(const wire::FrameBatch& batch, std::size_t from) {
  std::size_t lost = 0;
  const bool broken = pairs_.front().receive.ring().fault().has_value();
  for (auto frame = batch.begin() + static_cast<std::ptrdiff_t>(from); frame != batch.end();
       ++frame) {
    const ByteView header = batch.header(*frame);
    const std::size_t size = header.size() + frame->payload.size();
    if (broken || held_bytes_ + size > kHeldBytesMax) {
      ++lost;
      continue;
    }
    const MutableBytes room = held_.add(size, {}, frame->offload);
    std::ranges::copy(header, room.begin());
    std::ranges::copy(frame->payload, room.begin() + static_cast<std::ptrdiff_t>(header.size()));
    held_bytes_ += size;
  }
  return lost;
}

void NetQueues::deliver_held() {
  if (held_.empty() || !runs(pairs_.front().receive_ring)) return;
  held_given_ = deliver(held_, held_given_);
  if (held_given_ < held_.size()) return;
  pairs_.front().receive.ring().disable_kicks();
  drop_held();
}

void NetQueues::drop_held() {
  held_.clear();
  held_bytes_ = 0;
  held_given_ = 0;
}

// It need not be an eventfd, and need not be read.
void NetQueues::never_block(const VhostRing& ring) const {
  if (ring.call.valid()) (void)kernel_->fcntl_int(ring.call.get(), F_SETFL, O_NONBLOCK);
}

// A descriptor that takes nothing more tells the driver of enough.
void NetQueues::call(const VhostRing* ring) const {
  if (ring == nullptr || !ring->call.valid()) return;
  const std::uint64_t one = 1;
  (void)kernel_->write(ring->call.get(), &one, sizeof one);
}

void NetQueues::tell_fault(std::size_t index, virtio::RingFault fault) const {
  tell_(fmt::format("the guest broke its queue {}, which is not served until it is set up anew: {}",
                    index, virtio::text_of(fault)));
}

wire::LinkFeatures NetQueues::features() const { return virtio::link_features(accepted_); }

}  // namespace sluice::link
