// A multiport console device (virtio 1.2, 5.3): ports with names, each a stream both ways, and two
// queues by which driver and device tell each other of them. No port is a terminal: what a window
// and a line's discipline are is told by whoever uses the ports.
//
// What the driver is still to be told is noted for each port, not queued, so that no order of
// messages makes anything grow. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "virtio/console/console_control.h"
#include "virtio/console/port_input.h"
#include "virtio/console/port_output.h"
#include "virtio/net/features.h"

namespace sluice::virtio {

class Console {
 public:
  static constexpr std::uint32_t kDeviceId = 3;
  static constexpr Feature kMultiport{1};  // VIRTIO_CONSOLE_F_MULTIPORT
  static constexpr std::size_t kPortsMax = 4;
  static constexpr std::size_t kNameMax = 32;
  // 32 KiB a chain is what Linux writes at most: 2 MiB are held up in the guest.
  static constexpr std::uint16_t kQueueSize = 64;

  // Up to kPortsMax names, of up to kNameMax bytes.
  explicit Console(std::span<const std::string_view> names);

  // To the driver, and from it.
  static constexpr std::size_t kControlReceive = 2;
  static constexpr std::size_t kControlTransmit = 3;
  [[nodiscard]] static constexpr std::size_t receive_queue(std::size_t port) {
    return port == 0 ? 0 : 2 * port + 2;
  }
  [[nodiscard]] static constexpr std::size_t transmit_queue(std::size_t port) {
    return receive_queue(port) + 1;
  }
  [[nodiscard]] std::size_t port_count() const { return port_count_; }
  [[nodiscard]] std::size_t queue_count() const { return 2 * port_count_ + 2; }

  [[nodiscard]] static FeatureSet offered() {
    return {kMultiport, Feature::kVersion1, Feature::kEventIdx, Feature::kIndirectDesc};
  }
  // Beyond its end: zeros.
  void read_config(std::size_t offset, MutableBytes into) const;

  // The memory and the rings stay until stop().
  [[nodiscard]] std::expected<void, RingFault> start(std::size_t queue, const GuestMemory& memory,
                                                     const QueueConfig& config);
  // All queues, and what the driver made of the ports; host_open stays.
  void stop();

  struct Served {
    bool call = false;  // The driver wants to be told.
    bool more = false;  // No kick may come for what is there: serve again.
  };
  // Both control queues: reads a burst of what the driver says, and tells it what is due, as far as
  // it has buffers.
  [[nodiscard]] std::expected<Served, RingFault> serve_control();

  // Ports that a driver said to be open, or not; those of a driver that is not ready are not.
  [[nodiscard]] bool guest_open(std::size_t port) const { return ports_[port].guest_open; }
  // Whether there is somebody at our end. Told with the next serve_control().
  void set_host_open(std::size_t port, bool open);

  [[nodiscard]] PortInput& input(std::size_t port) { return ports_[port].input; }
  [[nodiscard]] PortOutput& output(std::size_t port) { return ports_[port].output; }

 private:
  static constexpr std::size_t kBurst = 64;

  struct Port {
    std::string name;
    PortInput input;
    PortOutput output;
    bool host_open = false;
    bool guest_ready = false;
    bool guest_open = false;
    // To be told.
    bool add_due = false;
    bool name_due = false;
    bool open_due = false;
  };

  [[nodiscard]] std::expected<std::size_t, RingFault> hear();
  void on_message(const Chain& chain);
  [[nodiscard]] std::expected<void, RingFault> tell();
  // Takes what is due of the port into `out`; returns its size, zero for nothing.
  [[nodiscard]] std::size_t next_message(std::size_t port, MutableBytes out);
  [[nodiscard]] bool anything_due(const Port& port) const {
    return port.add_due || port.name_due || port.open_due;
  }

  std::size_t port_count_;
  std::array<Port, kPortsMax> ports_;
  Virtqueue to_driver_;
  Virtqueue from_driver_;
};

}  // namespace sluice::virtio
