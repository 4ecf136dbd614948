// What a person may set about the relay.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::relay {

enum class Mode : std::uint8_t {
  kAuto,    // Copies while a direction is interactive, splices while it is bulk.
  kCopy,    // recv and send through a pooled buffer.
  kSplice,  // splice(2) through a pooled pipe; copies only while no pipe can be had.
};

struct Options {
  Mode mode = Mode::kAuto;
  std::size_t buffer_size = 65'536;   // Bytes of a copy's buffer.
  std::size_t pipe_size = 1'048'576;  // Bytes asked for; the kernel may grant less.
  friend bool operator==(const Options&, const Options&) = default;
};

inline constexpr std::size_t kBufferSizeMin = 1024;
inline constexpr std::size_t kBufferSizeMax = 16 * 1024 * 1024;

}  // namespace sluice::relay
