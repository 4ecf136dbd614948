#include "virtio/rng/entropy_queue.h"

#include <algorithm>

namespace sluice::virtio {

std::expected<EntropyQueue::Served, RingFault> EntropyQueue::serve(const EntropySource& source) {
  Served served;
  if (!ring_.started()) return served;
  const auto taken = ring_.take(kChainsMax);
  if (!taken) return std::unexpected(taken.error());
  for (const Chain& chain : *taken) {
    std::size_t written = 0;
    for (const MutableBytes piece : chain.writable) {
      const MutableBytes part = piece.first(std::min(piece.size(), kChainMax - written));
      const std::size_t filled = part.empty() ? 0 : source(part);
      written += filled;
      if (filled < piece.size()) break;
    }
    ring_.give(chain, static_cast<std::uint32_t>(written));
  }
  ring_.publish();
  served.call = ring_.needs_call();
  served.more = ring_.enable_kicks();
  return served;
}

}  // namespace sluice::virtio
