#include "virtio/mmio/mmio_transport.h"

#include <algorithm>

namespace sluice::virtio {
namespace {

// Registers by their offsets, and what constant ones say.
constexpr std::uint64_t kMagic = 0x000;
constexpr std::uint64_t kVersion = 0x004;
constexpr std::uint64_t kDeviceId = 0x008;
constexpr std::uint64_t kVendorId = 0x00c;
constexpr std::uint64_t kOffered = 0x010;
constexpr std::uint64_t kOfferedHalf = 0x014;
constexpr std::uint64_t kAccepted = 0x020;
constexpr std::uint64_t kAcceptedHalf = 0x024;
constexpr std::uint64_t kQueue = 0x030;
constexpr std::uint64_t kQueueMax = 0x034;
constexpr std::uint64_t kQueueNumber = 0x038;
constexpr std::uint64_t kQueueReady = 0x044;
constexpr std::uint64_t kInterruptStatus = 0x060;
constexpr std::uint64_t kInterruptAck = 0x064;
constexpr std::uint64_t kStatus = 0x070;
constexpr std::uint64_t kDescriptorsLow = 0x080;
constexpr std::uint64_t kDescriptorsHigh = 0x084;
constexpr std::uint64_t kDriverLow = 0x090;
constexpr std::uint64_t kDriverHigh = 0x094;
constexpr std::uint64_t kDeviceLow = 0x0a0;
constexpr std::uint64_t kDeviceHigh = 0x0a4;
constexpr std::uint64_t kSharedMemoryLengthLow = 0x0b0;
constexpr std::uint64_t kSharedMemoryLengthHigh = 0x0b4;
constexpr std::uint64_t kGeneration = 0x0fc;

constexpr std::uint32_t kMagicValue = 0x7472'6976;  // "virt".
constexpr std::uint32_t kVendor = 0x4543'4c53;      // "SLCE".
constexpr std::uint32_t kNone = 0xffff'ffff;        // The length of a shared memory that is not.

// Bits of the status (virtio 1.2, 2.1).
constexpr std::uint32_t kDriverOk = 4;
constexpr std::uint32_t kFeaturesOk = 8;
constexpr std::uint32_t kNeedsReset = 64;
// What a driver may set.
constexpr std::uint32_t kDriversBits = 1 | 2 | kDriverOk | kFeaturesOk | 128;

constexpr std::uint64_t kRegisterBytes = 4;

std::uint64_t with_low(std::uint64_t word, std::uint32_t half) { return (word >> 32 << 32) | half; }
std::uint64_t with_high(std::uint64_t word, std::uint32_t half) {
  return (word & 0xffff'ffff) | std::uint64_t{half} << 32;
}

}  // namespace

void MmioTransport::read(std::uint64_t offset, MutableBytes into) const {
  if (offset >= kConfig) {
    device_.read_config(offset - kConfig, into);
    return;
  }
  std::ranges::fill(into, std::uint8_t{0});
  if (into.size() != kRegisterBytes || offset % kRegisterBytes != 0) return;
  const std::uint32_t value = read_register(offset);
  for (unsigned i = 0; i < kRegisterBytes; ++i) {
    into[i] = static_cast<std::uint8_t>(value >> (8 * i));
  }
}

void MmioTransport::write(std::uint64_t offset, ByteView bytes) {
  if (offset >= kConfig) {
    device_.write_config(offset - kConfig, bytes);
    return;
  }
  if (bytes.size() != kRegisterBytes || offset % kRegisterBytes != 0) return;
  std::uint32_t value = 0;
  for (unsigned i = 0; i < kRegisterBytes; ++i) value |= std::uint32_t{bytes[i]} << (8 * i);
  write_register(offset, value);
}

std::uint32_t MmioTransport::read_register(std::uint64_t offset) const {
  const MmioQueueSetup* queue = selected();
  switch (offset) {
    case kMagic: return kMagicValue;
    case kVersion: return 2;
    case kDeviceId: return device_.id();
    case kVendorId: return kVendor;
    case kOffered:
      // Halves beyond the second are features that nobody has.
      if (offered_half_ > 1) return 0;
      return static_cast<std::uint32_t>(device_.offered().bits() >> (32 * offered_half_));
    case kQueueMax: return queue == nullptr ? 0 : device_.queue_size_max(queue_);
    case kQueueReady: return queue != nullptr && queue->ready ? 1 : 0;
    case kInterruptStatus: return interrupt_.bits();
    case kStatus: return status();
    case kSharedMemoryLengthLow:
    case kSharedMemoryLengthHigh: return kNone;
    case kGeneration: return interrupt_.generation();
    default: return 0;
  }
}

std::uint32_t MmioTransport::status() const {
  return status_ | (interrupt_.reset_required() ? kNeedsReset : 0);
}

const MmioQueueSetup* MmioTransport::selected() const {
  return queue_ < queues_.size() ? &queues_[queue_] : nullptr;
}

void MmioTransport::write_register(std::uint64_t offset, std::uint32_t value) {
  switch (offset) {
    case kOfferedHalf: offered_half_ = value; break;
    case kAccepted: accept_features(value); break;
    case kAcceptedHalf: accepted_half_ = value; break;
    case kQueue: queue_ = value; break;
    case kInterruptAck: interrupt_.acknowledge(value); break;
    case kStatus: set_status(value); break;
    default: write_queue(offset, value); break;
  }
}

void MmioTransport::write_queue(std::uint64_t offset, std::uint32_t value) {
  if (selected() == nullptr) return;
  MmioQueueSetup& queue = queues_[queue_];
  // The device has them from DRIVER_OK on.
  if ((status_ & kDriverOk) != 0) {
    if (offset == kQueueReady && value == 0) take_back(queue);
    return;
  }
  switch (offset) {
    // More than was offered is no size that the queue can have; zero is refused by every device.
    case kQueueNumber:
      queue.size = value <= device_.queue_size_max(queue_) ? static_cast<std::uint16_t>(value)
                                                           : std::uint16_t{0};
      break;
    case kQueueReady: queue.ready = value == 1; break;
    case kDescriptorsLow: queue.descriptors = with_low(queue.descriptors, value); break;
    case kDescriptorsHigh: queue.descriptors = with_high(queue.descriptors, value); break;
    case kDriverLow: queue.driver = with_low(queue.driver, value); break;
    case kDriverHigh: queue.driver = with_high(queue.driver, value); break;
    case kDeviceLow: queue.device = with_low(queue.device, value); break;
    case kDeviceHigh: queue.device = with_high(queue.device, value); break;
    default: break;
  }
}

// 4.2.2.2: a driver that reads back what it wrote has its queue for itself. A device that works
// with all of its queues or with none works no more.
void MmioTransport::take_back(MmioQueueSetup& queue) {
  if (!queue.ready) return;
  queue.ready = false;
  if (device_.stop_queue(queue_)) return;
  device_.reset();
  interrupt_.require_reset();
}

void MmioTransport::accept_features(std::uint32_t value) {
  if ((status_ & kFeaturesOk) != 0) return;  // They are settled.
  if (accepted_half_ == 0) accepted_ = with_low(accepted_, value);
  if (accepted_half_ == 1) accepted_ = with_high(accepted_, value);
}

// 3.1.1: a driver adds bits one after another, and takes all of them away at once.
void MmioTransport::set_status(std::uint32_t value) {
  if (value == 0) {
    reset();
    return;
  }
  std::uint32_t fresh = value & kDriversBits & ~status_;
  if ((fresh & kFeaturesOk) != 0 && !features_fit()) fresh &= ~kFeaturesOk;
  // A driver without settled features is older than version 1, or mistaken.
  if ((fresh & kDriverOk) != 0 && ((status_ | fresh) & kFeaturesOk) == 0) fresh &= ~kDriverOk;
  status_ |= fresh;
  if ((fresh & kDriverOk) == 0) return;
  if (!device_.start(FeatureSet(accepted_), queues_)) interrupt_.require_reset();
}

bool MmioTransport::features_fit() const {
  const FeatureSet accepted(accepted_);
  return accepted.without(device_.offered()) == FeatureSet{} && accepted.has(Feature::kVersion1) &&
         device_.check(accepted).has_value();
}

void MmioTransport::reset() {
  device_.reset();
  // Afterwards: until it has returned, the device may still have set something.
  interrupt_.clear();
  std::ranges::fill(queues_, MmioQueueSetup{});
  accepted_ = 0;
  status_ = 0;
  offered_half_ = 0;
  accepted_half_ = 0;
  queue_ = 0;
}

}  // namespace sluice::virtio
