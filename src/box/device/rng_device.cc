#include "box/device/rng_device.h"

#include <fmt/core.h>
#include <sys/random.h>

#include <algorithm>
#include <utility>

#include "box/device/queue_place.h"
#include "sys/event_fd.h"

namespace sluice::box {

std::size_t kernel_entropy(MutableBytes bytes) {
  const ssize_t drawn = ::getrandom(bytes.data(), bytes.size(), 0);
  return drawn < 0 ? 0 : static_cast<std::size_t>(drawn);
}

std::expected<std::unique_ptr<RngDevice>, sys::SysError> RngDevice::create(
    DeviceThread& thread, const virtio::GuestMemory& memory, virtio::EntropySource source,
    TellFault tell) {
  std::unique_ptr<RngDevice> device(
      new RngDevice(thread, memory, std::move(source), std::move(tell)));
  if (!device->kick_.valid()) return std::unexpected(sys::last_error(sys::SysOp::kOpen));
  auto watch = thread.watch(device->kick_.get(), EPOLLIN, [self = device.get()](std::uint32_t) {
    if (sys::drain(self->thread_.kernel(), self->kick_.get())) self->serve();
  });
  if (!watch) return std::unexpected(watch.error());
  device->watch_ = std::move(*watch);
  return device;
}

RngDevice::RngDevice(DeviceThread& thread, const virtio::GuestMemory& memory,
                     virtio::EntropySource source, TellFault tell)
    : thread_(thread),
      memory_(memory),
      source_(std::move(source)),
      tell_(std::move(tell)),
      kick_(sys::open_event_fd()) {}

void RngDevice::read_config(std::size_t, MutableBytes into) const {
  std::ranges::fill(into, std::uint8_t{0});
}

bool RngDevice::start(virtio::FeatureSet accepted, std::span<const virtio::MmioQueueSetup> queues) {
  bool started = true;
  if (queues.empty() || !queues[0].ready) return started;
  thread_.ask([&] { started = start_here(accepted, queues[0]); });
  return started;
}

bool RngDevice::start_here(virtio::FeatureSet accepted, const virtio::MmioQueueSetup& setup) {
  const auto place = queue_place(memory_, setup, virtio::ring_features(accepted));
  if (!place || !queue_.ring().start(memory_, *place)) return false;
  told_ = false;
  // What was made available before this moment may have had no kick.
  thread_.post([this] { serve(); });
  return true;
}

void RngDevice::reset() {
  thread_.ask([this] {
    queue_.ring().stop();
    sys::drain(thread_.kernel(), kick_.get());
  });
}

void RngDevice::serve() {
  const auto served = queue_.serve(source_);
  if (!served) {
    if (std::exchange(told_, true)) return;
    interrupt_->needs_reset();
    tell_(fmt::format("the guest broke its entropy device: {}", virtio::text_of(served.error())));
    return;
  }
  if (served->call) interrupt_->used();
  // Behind what others have to do.
  if (served->more) thread_.post([this] { serve(); });
}

}  // namespace sluice::box
