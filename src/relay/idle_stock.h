// Things kept for the next borrower: a bounded stack. The one used last is lent first, while it is
// still in the processor's caches. What lay unused between two calls of age() goes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace sluice::relay {

template <typename T>
class IdleStock {
 public:
  // Memory for `kept_max` places is taken here, so that keep() never allocates.
  explicit IdleStock(std::size_t kept_max) : kept_max_(kept_max) { items_.reserve(kept_max); }

  [[nodiscard]] std::optional<T> take() {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.back()));
    items_.pop_back();
    least_ = std::min(least_, items_.size());
    return item;
  }

  // What is beyond the bound is destroyed.
  void keep(T item) {
    if (items_.size() < kept_max_) items_.push_back(std::move(item));
  }

  // Destroys as many as were never needed since the last call: the lower end of the stack, which
  // only the busiest moment in between reached.
  void age() {
    items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(least_));
    least_ = items_.size();
  }

  [[nodiscard]] std::size_t size() const { return items_.size(); }

 private:
  std::size_t kept_max_;
  std::size_t least_ = 0;  // The fewest there were since age().
  std::vector<T> items_;
};

}  // namespace sluice::relay
