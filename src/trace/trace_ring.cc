#include "trace/trace_ring.h"

#include <time.h>

#include <algorithm>

namespace sluice::trace {
namespace {

[[nodiscard]] std::uint64_t now_ns() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

}  // namespace

TraceRing::TraceRing(std::size_t records)
    : mask_(records - 1), records_(std::make_unique<TraceRecord[]>(records)) {}

void TraceRing::write(TraceEvent event, std::uint32_t flow, std::uint64_t a,
                      std::uint64_t b) noexcept {
  const std::uint64_t time = now_ns();
  // Nobody reads before the writers have stopped, so the order of stores does not matter.
  const std::uint64_t at = written_.fetch_add(1, std::memory_order_relaxed);
  records_[at & mask_] = {.time_ns = time,
                          .flow = flow,
                          .a = static_cast<std::uint32_t>(a),
                          .b = static_cast<std::uint32_t>(b),
                          .event = event};
}

std::vector<TraceRecord> TraceRing::records() const {
  const std::uint64_t end = written_.load(std::memory_order_relaxed);
  std::vector<TraceRecord> all;
  all.reserve(static_cast<std::size_t>(end - overwritten()));
  for (std::uint64_t at = overwritten(); at < end; ++at) all.push_back(records_[at & mask_]);
  return all;
}

std::uint64_t TraceRing::overwritten() const {
  const std::uint64_t end = written_.load(std::memory_order_relaxed);
  return end - std::min<std::uint64_t>(end, mask_ + 1);
}

}  // namespace sluice::trace
