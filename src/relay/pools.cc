#include "relay/pools.h"

#include <algorithm>

namespace sluice::relay {
namespace {

// F_SETPIPE_SZ takes an int and rounds up to a power of two pages.
constexpr std::size_t kPipeSizeMin = 4096;
constexpr std::size_t kPipeSizeMax = std::size_t{1} << 30;

}  // namespace

Pools::Pools(sys::Kernel& kernel, const Options& options, std::size_t pipes_max)
    : kernel_(kernel),
      options_(options),
      buffers_(std::clamp(options.buffer_size, kBufferSizeMin, kBufferSizeMax)),
      pipes_(kernel, std::clamp(options.pipe_size, kPipeSizeMin, kPipeSizeMax), pipes_max) {}

Instant Pools::trim(Instant now) {
  if (buffers_.idle() == 0 && pipes_.idle() == 0) return kNever;
  if (now >= trim_at_) {
    buffers_.age();
    pipes_.age();
    trim_at_ = now + kIdleMax;
  }
  return trim_at_;
}

}  // namespace sluice::relay
