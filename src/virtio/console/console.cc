#include "virtio/console/console.h"

#include <algorithm>
#include <utility>

#include "base/unreachable.h"
#include "virtio/config_space.h"

namespace sluice::virtio {
namespace {

// columns 2, rows 2, ports 4, emergency write 4 (5.3.4). The first two count with F_SIZE only.
constexpr std::size_t kConfigSize = 12;
constexpr std::size_t kConfigPorts = 4;

}  // namespace

Console::Console(std::span<const std::string_view> names) : port_count_(names.size()) {
  if (names.empty() || names.size() > kPortsMax) unreachable("the number of a console's ports");
  for (std::size_t i = 0; i < names.size(); ++i) ports_[i].name = names[i].substr(0, kNameMax);
}

void Console::read_config(std::size_t offset, MutableBytes into) const {
  std::array<std::uint8_t, kConfigSize> config{};
  config[kConfigPorts] = static_cast<std::uint8_t>(port_count_);
  read_config_space(config, offset, into);
}

std::expected<void, RingFault> Console::start(std::size_t queue, const GuestMemory& memory,
                                              const QueueConfig& config) {
  if (queue == kControlReceive) return to_driver_.start(memory, config);
  if (queue == kControlTransmit) return from_driver_.start(memory, config);
  Port& port = ports_[queue < kControlReceive ? 0 : queue / 2 - 1];
  Virtqueue& ring = queue % 2 == 0 ? port.input.ring() : port.output.ring();
  return ring.start(memory, config);
}

void Console::stop() {
  to_driver_.stop();
  from_driver_.stop();
  for (Port& port : ports_) {
    port.input.stop();
    port.output.stop();
    port.guest_ready = port.guest_open = false;
    port.add_due = port.name_due = port.open_due = false;
  }
}

void Console::set_host_open(std::size_t port, bool open) {
  if (std::exchange(ports_[port].host_open, open) == open) return;
  ports_[port].open_due = ports_[port].guest_ready;
}

std::expected<Console::Served, RingFault> Console::serve_control() {
  Served served;
  if (!to_driver_.started() || !from_driver_.started()) return served;
  const auto heard = hear();
  if (!heard) return std::unexpected(heard.error());
  if (const auto told = tell(); !told) return std::unexpected(told.error());
  const bool call_to = to_driver_.needs_call();
  const bool call_from = from_driver_.needs_call();
  served.call = call_to || call_from;
  const bool due =
      std::ranges::any_of(ports_, [&](const Port& port) { return anything_due(port); });
  // Buffers that nothing is due for are no news.
  const bool room = to_driver_.enable_kicks() && due;
  served.more = from_driver_.enable_kicks() || room;
  return served;
}

std::expected<std::size_t, RingFault> Console::hear() {
  const auto taken = from_driver_.take(kBurst);
  if (!taken) return std::unexpected(taken.error());
  for (const Chain& chain : *taken) {
    on_message(chain);
    from_driver_.give(chain, 0);
  }
  const std::size_t count = taken->size();
  from_driver_.publish();
  return count;
}

void Console::on_message(const Chain& chain) {
  std::array<std::uint8_t, kConsoleControlSize> bytes{};
  std::size_t have = 0;
  for (const ByteView piece : chain.readable) {
    const ByteView part = piece.first(std::min(piece.size(), bytes.size() - have));
    std::ranges::copy(part, bytes.begin() + static_cast<std::ptrdiff_t>(have));
    have += part.size();
  }
  const auto message = parse_console_control(ByteView(bytes).first(have));
  if (!message) return;
  if (message->event == ConsoleEvent::kDeviceReady) {
    if (message->value == 0) return;  // It could not set itself up.
    for (std::size_t i = 0; i < port_count_; ++i) ports_[i].add_due = true;
    return;
  }
  if (message->port >= port_count_) return;
  Port& port = ports_[message->port];
  if (message->event == ConsoleEvent::kPortReady) {
    port.guest_ready = message->value != 0;
    port.name_due = port.guest_ready;
    port.open_due = port.guest_ready && port.host_open;
  } else if (message->event == ConsoleEvent::kPortOpen) {
    port.guest_open = message->value != 0;
  }
}

std::expected<void, RingFault> Console::tell() {
  for (std::size_t i = 0; i < port_count_; ++i) {
    while (anything_due(ports_[i])) {
      const auto taken = to_driver_.take(1);
      if (!taken) return std::unexpected(taken.error());
      if (taken->empty()) {
        to_driver_.publish();
        return {};
      }
      std::array<std::uint8_t, kConsoleControlSize + kNameMax> message;
      ByteView left = ByteView(message).first(next_message(i, message));
      const Chain& chain = taken->front();
      std::uint32_t written = 0;
      // A buffer without room for it has what fits: the driver's loss.
      for (const MutableBytes piece : chain.writable) {
        const ByteView part = left.first(std::min(left.size(), piece.size()));
        std::ranges::copy(part, piece.begin());
        left = left.subspan(part.size());
        written += static_cast<std::uint32_t>(part.size());
      }
      to_driver_.give(chain, written);
    }
  }
  to_driver_.publish();
  return {};
}

std::size_t Console::next_message(std::size_t index, MutableBytes out) {
  Port& port = ports_[index];
  ConsoleControl message{.port = static_cast<std::uint32_t>(index), .value = 1};
  std::string_view name;
  // In this order: Linux has no port to name before it was added, and makes the link of its name
  // before anybody can find it open.
  if (std::exchange(port.add_due, false)) {
    message.event = ConsoleEvent::kPortAdd;
  } else if (std::exchange(port.name_due, false)) {
    message.event = ConsoleEvent::kPortName;
    name = port.name;
  } else {
    port.open_due = false;
    message.event = ConsoleEvent::kPortOpen;
    message.value = port.host_open ? 1 : 0;
  }
  emit_console_control(message, out.first<kConsoleControlSize>());
  std::ranges::copy(name, out.begin() + kConsoleControlSize);
  return kConsoleControlSize + name.size();
}

}  // namespace sluice::virtio
