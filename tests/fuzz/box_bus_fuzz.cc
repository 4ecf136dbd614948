// Registers of virtio-mmio devices and I/O ports, read and written by a guest that does what it
// likes: in any order, of any size, with devices that find fault with half of it.
#include <algorithm>
#include <array>
#include <cstdint>

#include "box/bus/mmio_bus.h"
#include "box/bus/platform_ports.h"
#include "box/bus/serial_port.h"
#include "require.h"
#include "wire/byte_cursor.h"

namespace sluice::box {
namespace {

// Holds the transport to its word.
class Witness final : public virtio::MmioDevice {
 public:
  explicit Witness(std::size_t queues) : queues_(queues) {}

  [[nodiscard]] std::uint32_t id() const override { return 1; }
  [[nodiscard]] virtio::FeatureSet offered() const override {
    return {virtio::Feature::kMac, virtio::Feature::kMtu, virtio::Feature::kEventIdx,
            virtio::Feature::kVersion1};
  }
  [[nodiscard]] std::expected<void, std::string> check(virtio::FeatureSet accepted) const override {
    require(accepted.without(offered()) == virtio::FeatureSet{}, "only what was offered");
    if (accepted.has(virtio::Feature::kMtu)) return std::unexpected("not that one");
    return {};
  }
  [[nodiscard]] std::size_t queue_count() const override { return queues_; }
  [[nodiscard]] std::uint16_t queue_size_max(std::size_t queue) const override {
    require(queue < queues_, "queues that there are");
    return 256;
  }
  void read_config(std::size_t, MutableBytes into) const override {
    std::ranges::fill(into, std::uint8_t{0x5a});
  }
  void attach(virtio::MmioInterrupt& interrupt) override { interrupt_ = &interrupt; }
  [[nodiscard]] bool start(virtio::FeatureSet accepted,
                           std::span<const virtio::MmioQueueSetup> queues) override {
    require(!started_, "started once before a reset");
    require(accepted.has(virtio::Feature::kVersion1), "version 1");
    require(accepted.without(offered()) == virtio::FeatureSet{}, "only what was offered");
    require(queues.size() == queues_, "a setup for each queue");
    started_ = true;
    return queues.empty() || queues[0].size != 0;
  }
  void reset() override { started_ = false; }
  [[nodiscard]] int kick_fd(std::size_t queue) const override {
    require(queue < queues_, "queues that there are");
    return -1;
  }

  void tell(unsigned what) {
    if (what % 3 == 0) interrupt_->used();
    if (what % 3 == 1) interrupt_->config_changed();
    if (what % 3 == 2) interrupt_->needs_reset();
  }

 private:
  std::size_t queues_;
  virtio::MmioInterrupt* interrupt_ = nullptr;
  bool started_ = false;
};

class Guest {
 public:
  explicit Guest(ByteView input) : input_(input) {
    for (Witness& device : devices_) bus_.add(device, UniqueFd());
  }

  void run() {
    while (!input_.empty()) step();
    require(serial_.tail().size() <= SerialPort::kTailMax, "the tail is bounded");
  }

 private:
  void step() {
    std::array<std::uint8_t, 8> bytes{};
    const std::uint8_t kind = input_.u8();
    switch (kind % 5) {
      case 0: bus_.read(address(), some(bytes, kind)); break;
      case 1: {
        const std::uint64_t where = address();
        bus_.write(where, value(bytes, kind));
        break;
      }
      case 2: ports_.read(input_.u16(), MutableBytes(bytes).first(kind % 2 == 0 ? 1 : 4)); break;
      case 3: {
        const std::uint16_t port = input_.u16();
        bytes[0] = input_.u8();
        (void)ports_.write(port, bytes);
        break;
      }
      default: devices_[kind % devices_.size()].tell(input_.u8()); break;
    }
  }

  // A register of a slot, mostly.
  std::uint64_t address() {
    const std::uint16_t word = input_.u16();
    if (word == 0xffff) return std::uint64_t{input_.u32()} << 32 | input_.u32();
    return MmioBus::address_of(word >> 12 & 3) + (word & 0xfff);
  }
  static MutableBytes some(std::array<std::uint8_t, 8>& bytes, std::uint8_t kind) {
    const std::size_t size = kind < 160 ? 4 : 1 + kind % 8;
    return MutableBytes(bytes).first(size);
  }
  ByteView value(std::array<std::uint8_t, 8>& bytes, std::uint8_t kind) {
    const std::uint32_t word = input_.u32();
    for (unsigned i = 0; i < 4; ++i) bytes[i] = static_cast<std::uint8_t>(word >> (8 * i));
    return some(bytes, kind);
  }

  wire::ByteReader input_;
  std::array<Witness, 3> devices_{Witness(0), Witness(1), Witness(3)};
  MmioBus bus_;
  SerialPort serial_{{}};
  PlatformPorts ports_{serial_};
};

}  // namespace
}  // namespace sluice::box

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  sluice::box::Guest(sluice::ByteView(data, size)).run();
  return 0;
}
