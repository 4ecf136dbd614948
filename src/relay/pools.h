// What the pairs of one worker borrow while bytes move: buffers and pipes. Not thread-safe.
//
// Buffers: an idle one is kept up to a bound. Pipes: enlarged to Options::pipe_size as far as the
// kernel lets us (fs.pipe-max-size; pipe-user-pages-soft holds for all pipes of a user, see
// pipe(7)): one that comes out smaller than is useful is closed, and no other is asked for until a
// while has passed. Pipes are kept empty, up to a bound, and closed when they were not used for a
// while. No pipe to be had is an ordinary answer.
#pragma once

#include <cstddef>
#include <optional>

#include "base/bytes.h"
#include "base/time.h"
#include "host/kernel.h"
#include "relay/options.h"

namespace sluice::relay {

class Pools {
 public:
  Pools(host::Kernel& kernel, const Options& options);
  // … borrow and give back buffers and pipes; trim(now) …
  [[nodiscard]] const Options& options() const;
};

}  // namespace sluice::relay
