#include "web/page_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace sluice::web {

void PageStream::add(std::string_view line) {
  constexpr std::size_t kAround = 8;
  if (ended_) return;
  if (pending_.size() - taken_ + line.size() + kAround > bytes_max_) {
    ++missed_;
    return;
  }
  tell_missed();
  fmt::format_to(std::back_inserter(pending_), "data: {}\n\n", line);
}

void PageStream::tell_missed() {
  if (missed_ == 0) return;
  fmt::format_to(std::back_inserter(pending_), "event: missed\ndata: {}\n\n",
                 std::exchange(missed_, 0));
}

void PageStream::begin() { pending_ += "event: begin\ndata: {}\n\n"; }

void PageStream::beat() {
  if (ended_ || !empty()) return;  // What waits is as good.
  tell_missed();
  pending_ += ":\n\n";
}

void PageStream::end() {
  if (std::exchange(ended_, true)) return;
  tell_missed();
  pending_ += "event: end\ndata: {}\n\n";
}

std::size_t PageStream::take(std::span<char> into) {
  const std::size_t count = std::min(into.size(), pending_.size() - taken_);
  std::copy_n(pending_.data() + taken_, count, into.data());
  taken_ += count;
  if (empty()) {
    pending_.clear();
    taken_ = 0;
  } else if (taken_ >= pending_.size() / 2) {
    pending_.erase(0, std::exchange(taken_, 0));
  }
  return count;
}

}  // namespace sluice::web
