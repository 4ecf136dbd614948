#include "box/device/console_device.h"

#include <fmt/core.h>

#include <array>
#include <utility>

#include "box/device/queue_place.h"
#include "sys/event_fd.h"

namespace sluice::box {

std::expected<std::unique_ptr<ConsoleDevice>, sys::SysError> ConsoleDevice::create(
    DeviceThread& thread, const virtio::GuestMemory& memory,
    std::span<const std::string_view> ports, TellFault tell) {
  std::unique_ptr<ConsoleDevice> device(new ConsoleDevice(thread, memory, ports, std::move(tell)));
  for (std::size_t queue = 0; queue < device->queue_count(); ++queue) {
    UniqueFd kick(sys::open_event_fd());
    if (!kick.valid()) return std::unexpected(sys::last_error(sys::SysOp::kOpen));
    auto watch = thread.watch(
        kick.get(), EPOLLIN, [self = device.get(), queue](std::uint32_t) { self->on_kick(queue); });
    if (!watch) return std::unexpected(watch.error());
    device->kicks_.push_back(std::move(kick));
    device->watches_.push_back(std::move(*watch));
  }
  return device;
}

ConsoleDevice::ConsoleDevice(DeviceThread& thread, const virtio::GuestMemory& memory,
                             std::span<const std::string_view> ports, TellFault tell)
    : thread_(thread), memory_(memory), console_(ports), tell_(std::move(tell)) {}

std::expected<void, std::string> ConsoleDevice::check(virtio::FeatureSet accepted) const {
  for (const virtio::Feature needed : {virtio::Feature::kVersion1, virtio::Console::kMultiport}) {
    if (!accepted.has(needed)) {
      return std::unexpected(
          fmt::format("its console wants {}",
                      needed == virtio::Feature::kVersion1 ? "VERSION_1" : "MULTIPORT"));
    }
  }
  return {};
}

bool ConsoleDevice::start(virtio::FeatureSet accepted,
                          std::span<const virtio::MmioQueueSetup> queues) {
  bool started = false;
  thread_.ask([&] { started = start_here(accepted, queues); });
  return started;
}

bool ConsoleDevice::start_here(virtio::FeatureSet accepted,
                               std::span<const virtio::MmioQueueSetup> queues) {
  console_.stop();
  told_ = false;
  for (std::size_t i = 0; i < queues.size() && i < queue_count(); ++i) {
    if (!queues[i].ready) continue;
    const auto place = queue_place(memory_, queues[i], virtio::ring_features(accepted));
    if (!place || !console_.start(i, memory_, *place)) {
      console_.stop();
      return false;
    }
  }
  // What a driver made available before this moment may have had no kick.
  thread_.post([this] {
    serve_control();
    look_at_ports();
  });
  return true;
}

void ConsoleDevice::reset() {
  thread_.ask([this] { reset_here(); });
}

void ConsoleDevice::reset_here() {
  console_.stop();
  for (const UniqueFd& kick : kicks_) sys::drain(thread_.kernel(), kick.get());
  look_at_ports();
}

void ConsoleDevice::on_kick(std::size_t queue) {
  if (!sys::drain(thread_.kernel(), kicks_[queue].get())) return;
  if (queue == virtio::Console::kControlReceive || queue == virtio::Console::kControlTransmit) {
    serve_control();
  } else if (user_ != nullptr) {
    user_->on_port(queue < virtio::Console::kControlReceive ? 0 : queue / 2 - 1);
  }
}

void ConsoleDevice::serve_control() {
  std::array<bool, virtio::Console::kPortsMax> open{};
  for (std::size_t i = 0; i < console_.port_count(); ++i) open[i] = console_.guest_open(i);
  const auto served = console_.serve_control();
  if (!served) return on_fault(served.error());
  call(served->call);
  if (served->more) thread_.post([this] { serve_control(); });
  for (std::size_t i = 0; i < console_.port_count(); ++i) {
    if (open[i] != console_.guest_open(i) && user_ != nullptr) user_->on_port(i);
  }
}

void ConsoleDevice::look_at_ports() {
  for (std::size_t i = 0; i < console_.port_count() && user_ != nullptr; ++i) user_->on_port(i);
}

void ConsoleDevice::set_host_open(std::size_t port, bool open) {
  console_.set_host_open(port, open);
  thread_.post([this] { serve_control(); });
}

std::span<const ByteView> ConsoleDevice::waiting(std::size_t port) {
  const auto pieces = console_.output(port).waiting();
  if (pieces) return *pieces;
  on_fault(pieces.error());
  return {};
}

void ConsoleDevice::take(std::size_t port, std::size_t bytes) {
  call(console_.output(port).take(bytes));
}

std::span<const MutableBytes> ConsoleDevice::room(std::size_t port) {
  if (!is_open(port)) return {};
  const auto pieces = console_.input(port).room();
  if (pieces) return *pieces;
  on_fault(pieces.error());
  return {};
}

void ConsoleDevice::fill(std::size_t port, std::size_t bytes) {
  call(console_.input(port).fill(bytes));
}

void ConsoleDevice::on_fault(virtio::RingFault fault) {
  if (std::exchange(told_, true)) return;
  interrupt_->needs_reset();
  tell_(fmt::format("the guest broke its console: {}", virtio::text_of(fault)));
}

}  // namespace sluice::box
