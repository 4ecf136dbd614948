// A console device with the driver of a guest, that made its ports ready, on a device thread
// without a thread.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "box/device/console_device.h"
#include "unit/box/device/mock_machine.h"

namespace sluice::box::test {

inline constexpr std::array<std::string_view, 3> kPorts = {"control", "stream", "error"};

class MockConsole {
 public:
  static constexpr std::size_t kQueueSize = 16;

  MockConsole() {
    auto made = DeviceThread::create(sys::real_kernel());
    EXPECT_TRUE(made.has_value());
    thread = std::move(*made);
    auto console =
        ConsoleDevice::create(*thread, queues.memory(), kPorts,
                              [this](std::string_view text) { told.emplace_back(text); });
    EXPECT_TRUE(console.has_value());
    device = std::move(*console);
    device->attach(interrupt);
  }
  void start() {
    ASSERT_TRUE(device->start(device->offered(), queues.setups()));
    for (int i = 0; i < 8; ++i) {
      queues[virtio::Console::kControlReceive].offer(
          {queues[virtio::Console::kControlReceive].writable(64)});
    }
    queues[virtio::Console::kControlReceive].show();
    say({.event = virtio::ConsoleEvent::kDeviceReady, .value = 1});
    for (std::uint32_t port = 0; port < kPorts.size(); ++port) {
      say({.port = port, .event = virtio::ConsoleEvent::kPortReady, .value = 1});
    }
  }
  void say(const virtio::ConsoleControl& message) {
    constexpr std::size_t kQueue = virtio::Console::kControlTransmit;
    std::array<std::uint8_t, virtio::kConsoleControlSize> bytes{};
    virtio::emit_console_control(message, bytes);
    ASSERT_TRUE(queues[kQueue].offer({queues[kQueue].readable(bytes)}).has_value());
    queues[kQueue].show();
    kick(*device, kQueue);
    settle();
    while (queues[kQueue].take_used()) {
    }
  }
  void open(std::uint32_t port, bool open = true) {
    say({.port = port,
         .event = virtio::ConsoleEvent::kPortOpen,
         .value = static_cast<std::uint16_t>(open ? 1 : 0)});
  }
  // The guest writes; false where its queue is full.
  bool write(std::size_t port, std::string_view text) {
    virtio::test::MockDriver& queue = queues[virtio::Console::transmit_queue(port)];
    const auto* const at = reinterpret_cast<const std::uint8_t*>(text.data());
    const bool offered = queue.offer({queue.readable({at, text.size()})}).has_value();
    queue.show();
    kick(*device, virtio::Console::transmit_queue(port));
    settle();
    return offered;
  }
  // How many chains of the port the device is done with.
  std::size_t used(std::size_t port) {
    std::size_t count = 0;
    while (queues[virtio::Console::transmit_queue(port)].take_used()) ++count;
    return count;
  }
  // The guest makes room for so many bytes.
  void give_room(std::size_t port, std::size_t bytes) {
    virtio::test::MockDriver& queue = queues[virtio::Console::receive_queue(port)];
    const auto buffer = queue.writable(bytes);
    const auto id = queue.offer({buffer});
    ASSERT_TRUE(id.has_value());
    buffers_[port][*id] = buffer;
    queue.show();
    kick(*device, virtio::Console::receive_queue(port));
    settle();
  }
  // What the guest got.
  std::string read(std::size_t port) {
    virtio::test::MockDriver& queue = queues[virtio::Console::receive_queue(port)];
    std::string text;
    while (const auto used = queue.take_used()) {
      const ByteView bytes = queue.at(buffers_[port][used->id]).first(used->written);
      text.append(bytes.begin(), bytes.end());
    }
    return text;
  }

  // All that is ready, and what comes of it.
  void settle() {
    for (int i = 0; i < 50; ++i) threaded ? thread->ask([] {}) : thread->turn(Instant{});
  }

  bool threaded = false;  // The thread was started.
  MockQueues queues{8, kQueueSize, 1 << 20};
  MockInterrupt interrupt;
  std::vector<std::string> told;
  std::unique_ptr<DeviceThread> thread;
  std::unique_ptr<ConsoleDevice> device;

 private:
  std::array<std::array<virtio::test::MockBuffer, kQueueSize>, 3> buffers_{};
};

}  // namespace sluice::box::test
