// What the pairs of one worker borrow while bytes move: buffers and pipes. Not thread-safe.
// Outlives the pairs that use it.
#pragma once

#include <chrono>
#include <cstddef>

#include "base/time.h"
#include "relay/buffer_pool.h"
#include "relay/options.h"
#include "relay/pipe_pool.h"
#include "sys/kernel.h"

namespace sluice::relay {

class Pools {
 public:
  // Three quarters of what an unprivileged user may have in pipes of 1 MiB. Several workers share
  // that: give each its part.
  static constexpr std::size_t kPipesMax = 48;
  // What lies unused for so long (at most twice) goes back to the system.
  static constexpr Duration kIdleMax = std::chrono::seconds{2};

  Pools(sys::Kernel& kernel, const Options& options, std::size_t pipes_max = kPipesMax);

  [[nodiscard]] BufferPool& buffers() { return buffers_; }
  [[nodiscard]] PipePool& pipes() { return pipes_; }
  [[nodiscard]] sys::Kernel& kernel() const { return kernel_; }
  [[nodiscard]] const Options& options() const { return options_; }

  // For a worker that is about to wait; cheap. Returns when to call again: kNever once nothing is
  // kept.
  [[nodiscard]] Instant trim(Instant now);

 private:
  sys::Kernel& kernel_;
  Options options_;
  BufferPool buffers_;
  PipePool pipes_;
  Instant trim_at_{};
};

}  // namespace sluice::relay
