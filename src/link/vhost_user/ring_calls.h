// Tells a driver, by its front-end's descriptor, that a ring of it has news. Borrows the kernel.
#pragma once

#include <fcntl.h>

#include <cstdint>

#include "link/vhost_user/session.h"
#include "sys/kernel.h"

namespace sluice::link {

// Whether frames may move by it: it is started, and enabled.
[[nodiscard]] inline bool runs(const VhostRing* ring) { return ring != nullptr && ring->enabled; }

class RingCalls {
 public:
  explicit RingCalls(sys::Kernel& kernel) : kernel_(&kernel) {}

  // For a descriptor that is new: it need not be an eventfd, and need not be read.
  void never_block(const VhostRing& ring) const {
    if (ring.call.valid()) (void)kernel_->fcntl_int(ring.call.get(), F_SETFL, O_NONBLOCK);
  }
  // A descriptor that takes nothing more tells the driver of enough.
  void call(const VhostRing* ring) const {
    if (ring == nullptr || !ring->call.valid()) return;
    const std::uint64_t one = 1;
    (void)kernel_->write(ring->call.get(), &one, sizeof one);
  }

 private:
  sys::Kernel* kernel_;
};

}  // namespace sluice::link
