// The newest trace events, kept in memory: a ring that overwrites its oldest and counts how many.
//
// write() takes the time itself, allocates nothing and makes no system call (the clock is the
// vDSO's), so it may be called anywhere. Any thread may write; a place is claimed by one atomic
// addition. Reading is for when the writers have stopped.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "trace/trace_event.h"

namespace sluice::trace {

struct TraceRecord {
  std::uint64_t time_ns = 0;  // CLOCK_MONOTONIC
  std::uint32_t flow = 0;     // The index of the flow, or kNoTraceFlow.
  std::uint32_t a = 0;        // What these are depends on the event.
  std::uint32_t b = 0;
  TraceEvent event{};
};

class TraceRing {
 public:
  // 1.5 MiB: the last 2,500 connect cycles of one request each.
  static constexpr std::size_t kRecords = 64 * 1024;

  // `records` is a power of two. All memory is touched here, so that no write meets a page fault.
  explicit TraceRing(std::size_t records = kRecords);

  void write(TraceEvent event, std::uint32_t flow, std::uint64_t a, std::uint64_t b) noexcept;

  // Oldest first.
  [[nodiscard]] std::vector<TraceRecord> records() const;
  [[nodiscard]] std::uint64_t overwritten() const;

 private:
  std::size_t mask_;
  std::unique_ptr<TraceRecord[]> records_;
  std::atomic<std::uint64_t> written_{0};
};

}  // namespace sluice::trace
