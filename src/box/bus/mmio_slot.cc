#include "box/bus/mmio_slot.h"

#include <array>
#include <atomic>
#include <utility>

#include "box/boot/little_endian.h"
#include "sys/event_fd.h"

namespace sluice::box {
namespace {

// Registers that change without a write of the driver's (virtio 1.2, 4.2.2).
constexpr std::uint64_t kInterruptStatus = 0x60;
constexpr std::uint64_t kStatus = 0x70;
constexpr std::uint64_t kGeneration = 0xfc;
constexpr std::uint32_t kNeedsReset = 64;

}  // namespace

MmioSlot::MmioSlot(virtio::MmioDevice& device, UniqueFd interrupt, unsigned gsi)
    : device_(device),
      interrupt_(std::move(interrupt)),
      gsi_(gsi),
      status_(word(kInterruptStatus), word(kGeneration)),
      transport_(device, status_) {
  if (device.status_always_used()) keep_used();
  device.attach(*this);
  const std::lock_guard guard(lock_);
  show_registers();
}

MutableBytes MmioSlot::page() const {
  return {reinterpret_cast<std::uint8_t*>(page_.get()), sizeof(RegisterPage)};
}

// The driver may look meanwhile, so that each word is stored whole. What devices set from other
// threads is in its word already; that they need a reset is a bit of a word that is ours, looked at
// once more behind the store, as needs_reset() sets the flag before the bit.
void MmioSlot::show_registers() {
  for (std::uint64_t offset = 0; offset < kRegisterBytes; offset += sizeof(std::uint32_t)) {
    if (offset == kInterruptStatus || offset == kGeneration) continue;
    std::array<std::uint8_t, sizeof(std::uint32_t)> bytes{};
    transport_.read(offset, bytes);
    std::atomic_ref(word(offset)).store(load_le<std::uint32_t>(bytes, 0));
  }
  if (status_.reset_required()) std::atomic_ref(word(kStatus)).fetch_or(kNeedsReset);
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
  std::atomic_ref(word(kStatus)).fetch_or(kNeedsReset);
  raise();
}

void MmioSlot::raise() { sys::ring(sys::real_kernel(), interrupt_.get()); }

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
  if (offset < kRegisterBytes) show_registers();
  return false;
}

// As KVM_IOEVENTFD does it, so that nothing else than a whole register counts.
void MmioSlot::kick(ByteView bytes) {
  if (bytes.size() != sizeof(std::uint32_t)) return;
  const auto queue = load_le<std::uint32_t>(bytes, 0);
  if (queue < device_.queue_count()) sys::ring(sys::real_kernel(), device_.kick_fd(queue));
}

}  // namespace sluice::box
