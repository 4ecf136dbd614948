// COM1 of a PC, as a kernel's early messages need it: an UART (8250) that transmits and whose
// registers can be read back, without interrupts or reception. What was written last is kept.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace sluice::box {

// Safe from any thread.
class SerialPort {
 public:
  // Its lines, and what is no line yet at kTailMax bytes; by the thread that wrote them.
  using Sink = std::function<void(std::string_view)>;

  static constexpr std::uint16_t kFirst = 0x3f8;
  static constexpr std::uint16_t kLast = 0x3ff;
  static constexpr std::size_t kTailMax = 4096;

  explicit SerialPort(Sink sink) : sink_(std::move(sink)) {}

  // `port` is from kFirst to kLast.
  [[nodiscard]] std::uint8_t read(std::uint16_t port);
  void write(std::uint16_t port, std::uint8_t value);

  // The last kTailMax bytes.
  [[nodiscard]] std::string tail() const;
  // A line of it was a Linux kernel's panic.
  [[nodiscard]] bool panicked() const;

 private:
  void transmit(char byte);
  void look_for_panic();

  Sink sink_;
  mutable std::mutex lock_;  // Of what follows.
  std::array<std::uint8_t, 8> registers_{};
  std::string line_;  // Not yet given to the sink.
  std::string tail_;  // To twice kTailMax bytes, so that cutting it is rare.
  bool panicked_ = false;
};

}  // namespace sluice::box
