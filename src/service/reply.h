// What another thread is asked for and may be late with: whoever asks waits for a while at most,
// and whoever answers later speaks to nobody. Shared by both, as either may let go of it first.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

#include "base/time.h"

namespace sluice::service {

template <typename T>
class Reply {
 public:
  // Once.
  void give(T value) {
    {
      const std::lock_guard guard(lock_);
      value_.emplace(std::move(value));
    }
    given_.notify_one();
  }
  // Nothing: it did not come in that time.
  [[nodiscard]] std::optional<T> await(Duration patience) {
    std::unique_lock guard(lock_);
    (void)given_.wait_for(guard, patience, [this] { return value_.has_value(); });
    return std::exchange(value_, std::nullopt);
  }
  // It has come, and nobody has taken it.
  [[nodiscard]] bool is_there() {
    const std::lock_guard guard(lock_);
    return value_.has_value();
  }

 private:
  std::mutex lock_;
  std::condition_variable given_;
  std::optional<T> value_;
};

}  // namespace sluice::service
