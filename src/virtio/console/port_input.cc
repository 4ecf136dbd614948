#include "virtio/console/port_input.h"

#include <algorithm>
#include <cstdint>

namespace sluice::virtio {

std::expected<std::span<const MutableBytes>, RingFault> PortInput::room() {
  // As PortOutput looks.
  for (int look = 0; look < 2 && ring_.started(); ++look) {
    if (ring_.held().empty()) {
      const auto taken = ring_.take(kChainsMax);
      if (!taken) return std::unexpected(taken.error());
    }
    if (!ring_.held().empty()) return list_pieces();
    if (!ring_.enable_kicks()) break;
  }
  return std::span<const MutableBytes>{};
}

std::expected<std::span<const MutableBytes>, RingFault> PortInput::list_pieces() {
  std::size_t count = 0;
  for (const Chain& chain : ring_.held()) {
    if (chain.writable.empty()) {
      ring_.break_with(RingFault::kZeroLength);
      return std::unexpected(RingFault::kZeroLength);
    }
    for (const MutableBytes piece : chain.writable) {
      if (count == pieces_.size()) return std::span<const MutableBytes>(pieces_);
      pieces_[count++] = piece;
    }
  }
  return std::span<const MutableBytes>(pieces_).first(count);
}

bool PortInput::fill(std::size_t bytes) {
  const std::span<const Chain> held = ring_.held();
  std::size_t done = 0;
  for (; done < held.size() && bytes > 0; ++done) {
    const std::size_t part = std::min<std::size_t>(bytes, held[done].writable_bytes);
    ring_.give(held[done], static_cast<std::uint32_t>(part));
    bytes -= part;
  }
  ring_.put_back(held.size() - done);
  ring_.publish();
  return ring_.needs_call();
}

}  // namespace sluice::virtio
