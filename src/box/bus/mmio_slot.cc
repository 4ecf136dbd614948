#include "box/bus/mmio_slot.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "box/boot/little_endian.h"

namespace sluice::box {
namespace {

// Fails only where the counter is full: then its reader has enough to read.
void write_eventfd(int fd) {
  const std::uint64_t one = 1;
  (void)!::write(fd, &one, sizeof one);
}

}  // namespace

MmioSlot::MmioSlot(virtio::MmioDevice& device, UniqueFd interrupt, unsigned gsi)
    : device_(device), interrupt_(std::move(interrupt)), gsi_(gsi), transport_(device, status_) {
  device.attach(*this);
}

void MmioSlot::used() {
  status_.set_used();
  raise();
}

void MmioSlot::config_changed() {
  status_.change_config();
  raise();
}

void MmioSlot::needs_reset() {
  status_.require_reset();
  raise();
}

void MmioSlot::raise() { write_eventfd(interrupt_.get()); }

void MmioSlot::read(std::uint64_t offset, MutableBytes into) {
  const std::lock_guard guard(lock_);
  transport_.read(offset, into);
}

bool MmioSlot::write(std::uint64_t offset, ByteView bytes) {
  if (offset == kQueueNotify) {
    kick(bytes);
    return true;
  }
  const std::lock_guard guard(lock_);
  transport_.write(offset, bytes);
  return false;
}

// As KVM_IOEVENTFD does it, so that nothing else than a whole register counts.
void MmioSlot::kick(ByteView bytes) {
  if (bytes.size() != sizeof(std::uint32_t)) return;
  const auto queue = load_le<std::uint32_t>(bytes, 0);
  if (queue < device_.queue_count()) write_eventfd(device_.kick_fd(queue));
}

}  // namespace sluice::box
