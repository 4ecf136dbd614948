// Records of one worker's sessions on their way to the supervisor, who tells them as events. While
// nobody wants them it is a flag that is looked at once for each session's begin and end. Bounded:
// what has no room is counted, and a flood of refusals leaves half of the room to what else
// happens.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "forward/session/session_record.h"

namespace sluice::forward {

// Those of sessions that did not begin, which clients may cause by the thousand.
inline constexpr std::array kRefusedBeforehand{SessionResult::kNotAllowed, SessionResult::kDenied,
                                               SessionResult::kLimited,
                                               SessionResult::kBadProxyHeader};

class SessionOutbox {
 public:
  static constexpr std::size_t kRecordsMax = 4096;

  struct Content {
    std::vector<SessionRecord> records;
    std::uint64_t lost = 0;                                           // Had no room.
    std::array<std::uint64_t, kRefusedBeforehand.size()> left_out{};  // ... of these.
  };

  // From any thread.
  void want(bool wanted) { wanted_.store(wanted, std::memory_order_relaxed); }
  [[nodiscard]] bool wanted() const { return wanted_.load(std::memory_order_relaxed); }

  // The worker.
  void add(SessionRecord record);
  // Whether there is something since the last call.
  [[nodiscard]] bool has_news() { return std::exchange(news_, false); }

  // The supervisor.
  [[nodiscard]] Content take();

 private:
  std::atomic<bool> wanted_{false};
  bool news_ = false;
  std::mutex lock_;
  Content content_;  // Guarded by lock_.
};

}  // namespace sluice::forward
