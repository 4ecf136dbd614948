#include "box/bus/serial_port.h"

#include <string_view>

namespace sluice::box {
namespace {

// Registers of a 16450 by their offsets, and the bits that a driver looks at.
constexpr std::size_t kData = 0;             // Or the divisor's low byte.
constexpr std::size_t kInterruptEnable = 1;  // Or its high byte.
constexpr std::size_t kInterruptId = 2;
constexpr std::size_t kLineControl = 3;
constexpr std::size_t kLineStatus = 5;
constexpr std::size_t kModemStatus = 6;
constexpr std::uint8_t kDivisorLatch = 0x80;  // Of the line control.
constexpr std::uint8_t kNoInterrupt = 0x01;
constexpr std::uint8_t kTransmitterEmpty = 0x60;
constexpr std::uint8_t kLineUp = 0xb0;  // Carrier, data set ready, clear to send.

// As panic() of Linux begins its line (kernel/panic.c), behind the time.
constexpr std::string_view kPanic = "Kernel panic - not syncing";

}  // namespace

std::uint8_t SerialPort::read(std::uint16_t port) {
  const std::lock_guard guard(lock_);
  const auto offset = static_cast<std::size_t>(port - kFirst);
  switch (offset) {
    case kData: return 0;
    case kInterruptId: return kNoInterrupt;
    case kLineStatus: return kTransmitterEmpty;
    case kModemStatus: return kLineUp;
    default: return registers_[offset];
  }
}

void SerialPort::write(std::uint16_t port, std::uint8_t value) {
  const std::lock_guard guard(lock_);
  const auto offset = static_cast<std::size_t>(port - kFirst);
  const bool divisor = (registers_[kLineControl] & kDivisorLatch) != 0;
  if (offset <= kInterruptEnable && divisor) return;  // A speed means nothing here.
  if (offset == kData) {
    transmit(static_cast<char>(value));
  } else {
    // Only the four bits that exist: drivers tell chips apart by them.
    registers_[offset] = offset == kInterruptEnable ? value & 0x0f : value;
  }
}

void SerialPort::transmit(char byte) {
  if (byte == '\r' || byte == '\0') return;
  tail_ += byte;
  if (byte == '\n') look_for_panic();
  if (tail_.size() >= 2 * kTailMax) tail_.erase(0, tail_.size() - kTailMax);
  if (!sink_) return;
  line_ += byte;
  if (byte != '\n' && line_.size() < kTailMax) return;
  sink_(line_);
  line_.clear();
}

// In the line that has just ended.
void SerialPort::look_for_panic() {
  const std::string_view text(tail_.data(), tail_.size() - 1);
  const std::size_t before = text.rfind('\n');
  const std::string_view line = before == text.npos ? text : text.substr(before + 1);
  panicked_ = panicked_ || line.find(kPanic) != line.npos;
}

bool SerialPort::panicked() const {
  const std::lock_guard guard(lock_);
  return panicked_;
}

std::string SerialPort::tail() const {
  const std::lock_guard guard(lock_);
  return tail_.size() <= kTailMax ? tail_ : tail_.substr(tail_.size() - kTailMax);
}

}  // namespace sluice::box
