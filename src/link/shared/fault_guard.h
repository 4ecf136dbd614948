// Memory that is mapped from another process's file and may be cut short under us: reading what is
// gone raises SIGBUS, which would end this process. A range that is guarded gets anonymous pages of
// zeros in its place instead, as a whole, and says so: its reader goes on, and finds out.
//
// System calls are not concerned: they answer EFAULT.
#pragma once

#include <cstddef>
#include <optional>

#include "base/bytes.h"

namespace sluice::link {

// A guarded range, from claim() until it goes; it must still be mapped then, or not be reached for
// any more. Any thread may fault in it, its owner's calls are one thread's. Move-only.
class GuardedRange {
 public:
  // Of all ranges of the process.
  static constexpr std::size_t kRangesMax = 256;

  // A whole mapping, from its first page to the end of its last. The first call takes SIGBUS, for
  // good; a SIGBUS elsewhere goes to whoever had it. Nothing where there are too many ranges.
  [[nodiscard]] static std::optional<GuardedRange> claim(MutableBytes mapping);

  GuardedRange(GuardedRange&& other) noexcept;
  GuardedRange& operator=(GuardedRange&& other) noexcept;
  GuardedRange(const GuardedRange&) = delete;
  GuardedRange& operator=(const GuardedRange&) = delete;
  ~GuardedRange();

  // Whether something of it was gone, so that nothing of it is its owner's memory any more.
  [[nodiscard]] bool broken() const;

 private:
  explicit GuardedRange(std::size_t place) : place_(place) {}
  static constexpr std::size_t kNowhere = kRangesMax;

  std::size_t place_ = kNowhere;  // In the table of all.
};

}  // namespace sluice::link
