// Warnings of what a guest's drivers do wrong. They may break their devices, and start them again,
// without end: the first few are told, and then that no more will be.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <string_view>
#include <utility>

namespace sluice::serve {

// From any thread.
class FewWarnings {
 public:
  static constexpr std::size_t kMost = 16;
  using Tell = std::function<void(std::string_view)>;

  explicit FewWarnings(Tell tell) : tell_(std::move(tell)) {}
  void warn(std::string_view text);

 private:
  Tell tell_;
  std::atomic<std::size_t> count_ = 0;
};

}  // namespace sluice::serve
