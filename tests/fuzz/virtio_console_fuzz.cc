// A console against a driver that may write anything at any time: nothing outside of the guest's
// memory is touched (the address sanitizer sees it), a port that was not opened is not open, and no
// call takes more than its burst.
//
// Input: a byte of features, then operations, a byte each with what they need.
#include <array>
#include <memory>
#include <string_view>

#include "require.h"
#include "unit/virtio/mock_drivers.h"
#include "virtio/console/console.h"
#include "wire/byte_cursor.h"

namespace sluice::virtio::test {
namespace {

constexpr std::array<std::string_view, 2> kNames = {"control",
                                                    "a name that is as long as it may be"};

class Harness {
 public:
  explicit Harness(wire::ByteReader& input) : input_(input) {
    const std::uint8_t flags = input.u8();
    const RingFeatures features{
        .packed = (flags & 1) != 0, .event_index = (flags & 2) != 0, .indirect = (flags & 4) != 0};
    for (auto& driver : drivers_) {
      driver = make_mock_driver({.size = 4,
                                 .features = features,
                                 .base = features.packed ? kPackedStart : 0,
                                 .data_bytes = 512,
                                 .table_entries = 4});
    }
    start();
  }
  void run() {
    while (!input_.empty()) step();
    console_.stop();
  }

 private:
  void start() {
    for (std::size_t i = 0; i < drivers_.size(); ++i) {
      // A ring whose indices were written over may be refused.
      (void)console_.start(i, drivers_[i]->memory(), drivers_[i]->config());
    }
  }
  void step() {
    const std::uint8_t operation = input_.u8();
    MockDriver& driver = *drivers_[operation / 16 % drivers_.size()];
    const std::size_t port = operation / 16 % kNames.size();
    switch (operation % 8) {
      case 0: return scribble(driver.bytes());
      case 1: return offer(driver);
      case 2: return say(driver);
      case 3: return driver.show();
      case 4: return (void)console_.serve_control();
      case 5: return output(port);
      case 6: return input(port);
      default: break;
    }
    const std::uint8_t what = input_.u8();
    if (what % 4 == 0) {
      console_.stop();
      for (std::size_t i = 0; i < kNames.size(); ++i) {
        require(!console_.guest_open(i), "after a reset no port is open");
      }
      start();
    } else {
      console_.set_host_open(port, what % 4 == 1);
      (void)driver.take_used();
    }
  }
  void scribble(MutableBytes where) {
    std::size_t at = input_.u16();
    const std::size_t wanted = input_.u8() % 17U;
    const ByteView bytes = input_.take(std::min(wanted, input_.rest().size()));
    for (const std::uint8_t byte : bytes) where[at++ % where.size()] = byte;
  }
  void offer(MockDriver& driver) {
    std::array<MockBuffer, 3> chain;
    const std::size_t count = input_.u8() % chain.size() + 1;
    for (MockBuffer& buffer : chain) {
      const std::uint16_t place = input_.u16();
      buffer = {MockDriver::kGuestBase + place % (driver.bytes().size() + 8), input_.u8(),
                (place & 0x8000) != 0};
    }
    (void)driver.offer(std::span(chain).first(count), input_.u8() % 2 == 0
                                                          ? MockDriver::Form::kDirect
                                                          : MockDriver::Form::kIndirect);
  }
  // What a driver says, or nearly.
  void say(MockDriver& driver) {
    std::array<std::uint8_t, kConsoleControlSize> bytes{};
    emit_console_control({.port = input_.u8() % 4U,
                          .event = static_cast<ConsoleEvent>(input_.u8() % 10U),
                          .value = input_.u8()},
                         bytes);
    (void)driver.offer({driver.readable(bytes)});
  }
  [[nodiscard]] std::size_t check(ByteView piece) const {
    for (const auto& driver : drivers_) {
      const ByteView memory = driver->bytes();
      if (piece.data() >= memory.data() &&
          piece.data() + piece.size() <= memory.data() + memory.size()) {
        return piece.size();
      }
    }
    require(false, "a piece is the guest's memory");
    return 0;
  }
  void output(std::size_t port) {
    const auto pieces = console_.output(port).waiting();
    if (!pieces) return;
    std::size_t bytes = 0;
    for (const ByteView piece : *pieces) {
      bytes += check(piece);
      for (const std::uint8_t byte : piece) sum_ = static_cast<std::uint8_t>(sum_ + byte);
    }
    if (bytes > 0) (void)console_.output(port).take(input_.u8() % (bytes + 1));
  }
  void input(std::size_t port) {
    const auto pieces = console_.input(port).room();
    if (!pieces) return;
    std::size_t bytes = 0;
    for (const MutableBytes piece : *pieces) {
      bytes += check(piece);
      std::ranges::fill(piece, std::uint8_t{0xa5});
    }
    if (bytes > 0) (void)console_.input(port).fill(input_.u8() % (bytes + 1));
  }

  wire::ByteReader& input_;
  Console console_{kNames};
  std::array<std::unique_ptr<MockDriver>, 6> drivers_;
  volatile std::uint8_t sum_ = 0;
};

}  // namespace
}  // namespace sluice::virtio::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  sluice::wire::ByteReader input(sluice::ByteView(data, size));
  sluice::virtio::test::Harness(input).run();
  return 0;
}
