// The console and the entropy device of a box behind their registers, and a guest that writes any
// register and any byte of its memory at any time: no byte outside of the memory is touched (the
// address sanitizer sees it), the pages of registers show what reads do, a fault is told once a
// start, and nothing is written behind a reset.
//
// Input: operations, a byte each with what they need.
#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "box/bus/mmio_bus.h"
#include "box/device/rng_device.h"
#include "require.h"
#include "virtio/console/console_control.h"
#include "wire/byte_cursor.h"

namespace sluice::box {
namespace {

constexpr std::array<std::string_view, 2> kPorts = {"control", "stream"};
constexpr std::uint64_t kMemoryAt = 0x10'0000;
constexpr std::size_t kMemory = 8192;
// Rings of 8, as a guest makes them that is well-behaved for once; behind them its data.
constexpr std::size_t kEntries = 8;
constexpr std::size_t kRingBytes = 256;
constexpr std::size_t kDriverArea = 128;
constexpr std::size_t kDeviceArea = 160;
constexpr std::size_t kRings = 2 * kPorts.size() + 2 + 1;
constexpr std::size_t kData = kRings * kRingBytes;

// Made once: what an input leaves is gone with the resets in front of the next.
class World final : public PortUser {
 public:
  World() {
    require(memory_.add({kMemoryAt, kMemoryAt, bytes()}).has_value(), "memory");
    auto thread = DeviceThread::create(sys::real_kernel());
    require(thread.has_value(), "an event loop");
    thread_ = std::move(*thread);
    auto console =
        ConsoleDevice::create(*thread_, memory_, kPorts, [this](std::string_view) { on_fault(0); });
    auto rng = RngDevice::create(
        *thread_, memory_,
        [](MutableBytes into) {
          std::ranges::fill(into, std::uint8_t{0x5a});
          return into.size();
        },
        [this](std::string_view) { on_fault(1); });
    require(console.has_value() && rng.has_value(), "devices");
    console_ = std::move(*console);
    rng_ = std::move(*rng);
    console_->set_user(*this);
    bus_.add(*console_, UniqueFd());
    bus_.add(*rng_, UniqueFd());
  }

  void run(ByteView input) {
    input_ = wire::ByteReader(input);
    reset();
    std::ranges::fill(bytes(), std::uint8_t{0});
    while (!input_.empty()) step();
    check_pages();
    reset();
    const std::vector<std::uint8_t> left(bytes().begin(), bytes().end());
    turn();
    require(std::ranges::equal(left, bytes()), "nothing is written behind a reset");
  }

 private:
  static constexpr std::uint64_t kStatus = 0x70;

  [[nodiscard]] MutableBytes bytes() { return {storage_.get(), kMemory}; }

  void reset() {
    for (std::size_t slot = 0; slot < bus_.size(); ++slot) write(slot, kStatus, 0);
    for (std::size_t port = 0; port < kPorts.size(); ++port) {
      require(!console_->is_open(port), "after a reset no port is open");
    }
    turn();
  }
  void turn() {
    for (int i = 0; i < 3; ++i) thread_->turn(Instant{});
  }

  void step() {
    const std::uint8_t operation = input_.u8();
    const std::size_t slot = operation / 16 % bus_.size();
    const std::size_t ring = operation / 16 % kRings;
    switch (operation % 12) {
      case 0: return look(slot);
      case 1: return change(slot);
      case 2: return scribble();
      case 3: return bring_up(slot);
      case 4: return offer(ring, anywhere());
      case 5: return say();
      case 6: return kick(ring);
      case 7: return thread_->turn(Instant{});
      case 8: return console_->set_host_open(ring % kPorts.size(), operation < 128);
      case 9: return fill(ring % kPorts.size());
      case 10: takes_ = operation / 16; return;
      default: return check_pages();
    }
  }

  void on_fault(std::size_t slot) {
    require(!std::exchange(told_[slot], true), "a fault is told once");
  }

  // Registers.

  void write(std::size_t slot, std::uint64_t offset, std::uint32_t value) {
    const std::array<std::uint8_t, 4> word{
        static_cast<std::uint8_t>(value), static_cast<std::uint8_t>(value >> 8),
        static_cast<std::uint8_t>(value >> 16), static_cast<std::uint8_t>(value >> 24)};
    bus_.write(MmioBus::address_of(slot) + offset, word);
    if (offset == kStatus && value == 0) told_[slot] = false;
  }
  [[nodiscard]] std::uint32_t read(std::size_t slot, std::uint64_t offset) {
    std::array<std::uint8_t, 4> word{};
    bus_.read(MmioBus::address_of(slot) + offset, word);
    return std::uint32_t{word[0]} | std::uint32_t{word[1]} << 8 | std::uint32_t{word[2]} << 16 |
           std::uint32_t{word[3]} << 24;
  }
  void look(std::size_t slot) {
    std::array<std::uint8_t, 8> any{};
    const std::uint16_t where = input_.u16();
    bus_.read(MmioBus::address_of(slot) + where % 0x1200,
              MutableBytes(any).first(1 + where / 0x2000));
  }
  void change(std::size_t slot) {
    const std::uint8_t offset = input_.u8();
    std::uint32_t value = input_.u16();
    if (value >= 0x8000) value = value << 16 | input_.u16();
    write(slot, offset, value);
  }
  // As a driver does it, but for the features that it leaves out.
  void bring_up(std::size_t slot) {
    const std::uint8_t left_out = input_.u8();
    write(slot, kStatus, 1);
    write(slot, kStatus, 3);
    for (const std::uint32_t half : {0U, 1U}) {
      write(slot, 0x14, half);
      write(slot, 0x24, half);
      const std::uint32_t offered = read(slot, 0x10);
      write(slot, 0x20, half == 0 ? offered & ~(std::uint32_t{left_out} << 24) : offered);
    }
    write(slot, kStatus, 11);
    const std::size_t count = bus_.slot(slot).device().queue_count();
    for (std::size_t queue = 0; queue < count; ++queue) {
      const auto at =
          static_cast<std::uint32_t>(kMemoryAt + (slot == 0 ? queue : kRings - 1) * kRingBytes);
      write(slot, 0x30, static_cast<std::uint32_t>(queue));
      write(slot, 0x38, kEntries);
      write(slot, 0x80, at);
      write(slot, 0x90, at + kDriverArea);
      write(slot, 0xa0, at + kDeviceArea);
      write(slot, 0x44, 1);
    }
    write(slot, kStatus, 15);
  }
  void kick(std::size_t ring) {
    const bool rng = ring == kRings - 1;
    write(rng ? 1 : 0, MmioSlot::kQueueNotify, rng ? 0 : static_cast<std::uint32_t>(ring));
  }
  void check_pages() {
    for (std::size_t slot = 0; slot < bus_.size(); ++slot) {
      const MutableBytes page = bus_.slot(slot).page();
      const MutableBytes shown = page.last(MmioSlot::kRegisterBytes);
      for (std::size_t offset = 0; offset < shown.size(); offset += 4) {
        std::array<std::uint8_t, 4> said{};
        bus_.read(MmioBus::address_of(slot) + offset, said);
        require(std::ranges::equal(said, shown.subspan(offset, 4)), "the page shows what reads do");
      }
    }
  }

  // Memory.

  void scribble() {
    std::size_t at = input_.u16();
    const std::size_t wanted = input_.u8() % 17U;
    for (const std::uint8_t byte : input_.take(std::min(wanted, input_.rest().size()))) {
      storage_[at++ % kMemory] = byte;
    }
  }
  struct Piece {
    std::uint64_t address = 0;
    std::uint32_t length = 0;
    std::uint16_t flags = 0;
    std::uint16_t next = 0;
  };
  Piece anywhere() {
    const std::uint16_t place = input_.u16();
    const std::uint8_t how = input_.u8();
    return {kMemoryAt + place % (kMemory + 16), input_.u16() % 700U,
            static_cast<std::uint16_t>(how % 8), static_cast<std::uint16_t>(how / 8 % 9)};
  }
  void store(std::size_t at, std::uint64_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      storage_[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
    }
  }
  void offer(std::size_t ring, const Piece& piece) {
    const std::size_t at = ring * kRingBytes;
    const std::size_t index_at = at + kDriverArea + 2;
    const unsigned index = storage_[index_at] | unsigned{storage_[index_at + 1]} << 8;
    const std::size_t entry = at + 16 * (index % kEntries);
    store(entry, piece.address, 8);
    store(entry + 8, piece.length, 4);
    store(entry + 12, piece.flags, 2);
    store(entry + 14, piece.next, 2);
    store(index_at + 2 + 2 * (index % kEntries), index % kEntries, 2);
    store(index_at, index + 1, 2);
  }
  // What a driver of a console says, or nearly.
  void say() {
    const std::uint8_t what = input_.u8();
    virtio::emit_console_control({.port = what % 3U,
                                  .event = static_cast<virtio::ConsoleEvent>(what / 4 % 10U),
                                  .value = static_cast<std::uint16_t>(what / 64)},
                                 bytes().subspan(kData).first<virtio::kConsoleControlSize>());
    offer(virtio::Console::kControlTransmit,
          {kMemoryAt + kData, virtio::kConsoleControlSize, 0, 0});
    kick(virtio::Console::kControlTransmit);
  }

  // Our end of the ports.

  template <typename Pieces>
  [[nodiscard]] std::size_t check(const Pieces& pieces) {
    std::size_t sum = 0;
    for (const auto& piece : pieces) {
      require(
          piece.data() >= storage_.get() && piece.data() + piece.size() <= storage_.get() + kMemory,
          "a piece is the guest's memory");
      sum += piece.size();
    }
    return sum;
  }
  void on_port(std::size_t port) override {
    const std::size_t bytes = check(console_->waiting(port));
    if (bytes > 0) console_->take(port, takes_ == 0 ? 0 : bytes / takes_);
  }
  void fill(std::size_t port) {
    const auto pieces = console_->room(port);
    const std::size_t bytes = check(pieces);
    for (const MutableBytes piece : pieces) std::ranges::fill(piece, std::uint8_t{0xa5});
    if (bytes > 0) console_->fill(port, input_.u8() % (bytes + 1));
  }

  wire::ByteReader input_{ByteView{}};
  std::unique_ptr<std::uint8_t[]> storage_ = std::make_unique<std::uint8_t[]>(kMemory);
  virtio::GuestMemory memory_;
  std::unique_ptr<DeviceThread> thread_;
  std::unique_ptr<ConsoleDevice> console_;
  std::unique_ptr<RngDevice> rng_;
  MmioBus bus_;
  std::array<bool, 2> told_{};  // Of a fault, since the reset.
  std::size_t takes_ = 1;
};

}  // namespace
}  // namespace sluice::box

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static sluice::box::World world;
  world.run(sluice::ByteView(data, size));
  return 0;
}
