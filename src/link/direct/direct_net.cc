#include "link/direct/direct_net.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sys/event_fd.h"
#include "virtio/config_space.h"

namespace sluice::link {
namespace {

[[nodiscard]] UniqueFd copy_of(int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

}  // namespace

std::expected<std::unique_ptr<DirectNet>, sys::SysError> DirectNet::create(sys::Kernel& kernel,
                                                                           DirectNetPlan plan) {
  auto seats = open_seats(kernel, plan.workers, plan.device);
  if (!seats) return std::unexpected(seats.error());
  std::vector<UniqueFd> kicks;
  // Two for each pair, and the control queue.
  const std::size_t queues = 2 * std::size_t{plan.device.queue_pairs_max} + 1;
  for (std::size_t i = 0; i < queues; ++i) {
    kicks.emplace_back(sys::open_event_fd());
    if (!kicks.back().valid()) return std::unexpected(sys::last_error(sys::SysOp::kOpen));
  }
  return std::unique_ptr<DirectNet>(
      new DirectNet(kernel, std::move(*seats), std::move(plan), std::move(kicks)));
}

DirectNet::DirectNet(sys::Kernel& kernel, std::deque<Seat> seats, DirectNetPlan plan,
                     std::vector<UniqueFd> kicks)
    : NetBackEnd(kernel, std::move(seats), plan.device, plan.tell),
      plan_(std::move(plan)),
      config_(virtio::net_config(plan_.device, virtio::LinkState::kUp)),
      kicks_(std::move(kicks)),
      rings_(kicks_.size()) {
  // Rings are named by guest addresses, which is how the session of a front-end finds them, too.
  for (VhostRegion& region : plan_.regions) region.user_address = region.guest_address;
}

void DirectNet::shut_down() {
  const std::scoped_lock lock(mutex_);
  shut_down_ = true;
  answered_.notify_all();
}

virtio::FeatureSet DirectNet::offered() const { return virtio::offered_features(plan_.device); }

std::expected<void, std::string> DirectNet::check(virtio::FeatureSet accepted) const {
  return virtio::check_features(offered(), accepted);
}

void DirectNet::read_config(std::size_t offset, MutableBytes into) const {
  virtio::read_config_space(config_, offset, into);
}

bool DirectNet::start(virtio::FeatureSet accepted, std::span<const virtio::MmioQueueSetup> queues) {
  return ask({.starts = true, .accepted = accepted, .queues = queues});
}

void DirectNet::reset() { (void)ask({}); }

bool DirectNet::stop_queue(std::size_t queue) {
  (void)ask({.stops = queue});
  return true;
}

bool DirectNet::ask(Request request) {
  std::unique_lock lock(mutex_);
  if (shut_down_) return false;
  request_ = &request;
  first_seat().wake();
  answered_.wait(lock, [&] { return request.done || shut_down_; });
  request_ = nullptr;
  return request.answer;
}

// A lock of two threads, of which the other waits: it is held where the registers are used, and in
// no burst.
void DirectNet::on_event(std::uint64_t /*what*/) {
  const std::scoped_lock lock(mutex_);
  if (request_ == nullptr || request_->done) return;
  const NetQueues::Exclusive all(queues());
  if (request_->stops) {
    stop_ring(*request_->stops);
  } else {
    stop_rings();
    request_->answer = !request_->starts || start_rings(*request_);
  }
  request_->done = true;
  answered_.notify_all();
}

void DirectNet::on_broken() {
  {
    const NetQueues::Exclusive all(queues());
    stop_rings();
  }
  plan_.tell("the guest's memory was cut short; its network is not served until it is set up anew");
  on_ring_broken();
}

// Virtio 1.2, 2.1.2: a device that cannot go on by itself says so.
void DirectNet::on_ring_broken() {
  if (interrupt_ != nullptr) interrupt_->needs_reset();
}

bool DirectNet::start_rings(const Request& request) {
  std::vector<UniqueFd> files;
  for (std::size_t i = 0; i < plan_.regions.size(); ++i) {
    files.push_back(copy_of(plan_.memory_file.get()));
  }
  if (const auto shared = queues().set_table(plan_.regions, std::move(files)); !shared) {
    plan_.tell("the network device has no way to the guest's memory: " + shared.error().why);
    return false;
  }
  queues().set_features(request.accepted.bits());
  for (std::size_t i = 0; i < std::min(request.queues.size(), rings_.size()); ++i) {
    if (request.queues[i].ready && !start_ring(i, request)) {
      stop_rings();
      return false;
    }
  }
  return true;
}

bool DirectNet::start_ring(std::size_t index, const Request& request) {
  const virtio::MmioQueueSetup& queue = request.queues[index];
  const bool packed = request.accepted.has(virtio::Feature::kRingPacked);
  VhostRing& ring = rings_[index];
  ring = VhostRing{.size = queue.size,
                   .base = packed ? virtio::kPackedStart & 0xffff : 0,
                   .address = VhostVringAddress{.index = static_cast<std::uint32_t>(index),
                                                .descriptors = queue.descriptors,
                                                .used = queue.device,
                                                .available = queue.driver},
                   .kick = copy_of(kicks_[index].get()),
                   .call = copy_of(interrupt_->fd()),
                   .enabled = true,
                   .started = true};
  if (!ring.kick.valid() || !ring.call.valid()) {
    plan_.tell("the network device finds no descriptors for a queue of the guest's driver");
    ring = VhostRing{};
    return false;
  }
  if (const auto started = queues().start_ring(index, ring); !started) {
    plan_.tell("the guest's driver sets up a queue that cannot be: " + started.error().why);
    ring = VhostRing{};
    return false;
  }
  return true;
}

void DirectNet::stop_ring(std::size_t index) {
  if (!rings_[index].started) return;
  (void)queues().stop_ring(index);
  rings_[index] = VhostRing{};
}

void DirectNet::stop_rings() {
  for (std::size_t i = 0; i < rings_.size(); ++i) stop_ring(i);
  queues().forget();
}

}  // namespace sluice::link
