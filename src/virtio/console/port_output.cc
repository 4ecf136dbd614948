#include "virtio/console/port_output.h"

namespace sluice::virtio {

std::expected<std::span<const ByteView>, RingFault> PortOutput::waiting() {
  // The second look is for what came before the driver knew that it is to kick.
  for (int look = 0; look < 2 && ring_.started(); ++look) {
    if (ring_.held().empty()) {
      const auto taken = ring_.take(kChainsMax);
      if (!taken) return std::unexpected(taken.error());
    }
    if (!ring_.held().empty()) return list_pieces();
    if (!ring_.enable_kicks()) break;
  }
  return std::span<const ByteView>{};
}

std::expected<std::span<const ByteView>, RingFault> PortOutput::list_pieces() {
  std::size_t count = 0;
  std::size_t skip = taken_;
  for (const Chain& chain : ring_.held()) {
    // Nothing to read, or less than before: a driver that changes a chain which it made available.
    if (chain.readable_bytes <= skip) {
      ring_.break_with(RingFault::kZeroLength);
      return std::unexpected(RingFault::kZeroLength);
    }
    for (const ByteView piece : chain.readable) {
      if (piece.size() <= skip) {
        skip -= piece.size();
        continue;
      }
      if (count == pieces_.size()) return std::span<const ByteView>(pieces_);
      pieces_[count++] = piece.subspan(skip);
      skip = 0;
    }
  }
  return std::span<const ByteView>(pieces_).first(count);
}

bool PortOutput::take(std::size_t bytes) {
  const std::span<const Chain> held = ring_.held();
  std::size_t done = 0;
  for (; done < held.size(); ++done) {
    const std::size_t rest = held[done].readable_bytes - taken_;
    if (bytes < rest) break;
    bytes -= rest;
    taken_ = 0;
    ring_.give(held[done], 0);
  }
  taken_ += bytes;
  // Their pieces would not outlive what is published: they are taken anew.
  ring_.put_back(held.size() - done);
  ring_.publish();
  return ring_.needs_call();
}

}  // namespace sluice::virtio
