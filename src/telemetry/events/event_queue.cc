#include "telemetry/events/event_queue.h"

#include <algorithm>

namespace sluice::telemetry {
namespace {

// A line that says how many are lost is not longer.
constexpr std::size_t kLostLineMax = 256;

}  // namespace

void EventQueue::put(const Line& place, std::string_view line) {
  buffer_.append(line);
  lines_.push_back(place);
  told_ = place.sequence;
}

void EventQueue::add(const EventHead& head, std::string_view line) {
  if (newest_.sequence == 0) told_ = delivered_ = head.sequence - 1;
  newest_ = head;
  if (told_ + 1 != head.sequence) {
    if (!has_room(kLostLineMax + line.size())) {
      ++lost_;
      return;
    }
    tell_missing({head.sequence - 1, head.time, head.run});
  }
  if (has_room(line.size())) {
    put({head.sequence, true}, line);
  } else {
    ++lost_;
  }
}

void EventQueue::tell_missing(const EventHead& head) {
  fmt::memory_buffer line;
  append_lost(line, head, head.sequence - told_);
  put({head.sequence, false}, {line.data(), line.size()});
}

void EventQueue::taken(std::size_t bytes) {
  const char* const begin = buffer_.data();
  for (auto lines = std::count(begin, begin + bytes, '\n'); lines > 0; --lines) {
    delivered_ = lines_.front().sequence;
    lines_.pop_front();
  }
  std::copy(buffer_.begin() + bytes, buffer_.end(), buffer_.begin());
  buffer_.resize(buffer_.size() - bytes);
  if (empty() && told_ < newest_.sequence) tell_missing(newest_);
}

void EventQueue::taken_but(std::uint64_t lines) {
  for (; lines > 0 && !lines_.empty(); --lines) {
    if (lines_.back().event) ++lost_;
    lines_.pop_back();
  }
  if (!lines_.empty()) delivered_ = lines_.back().sequence;
  lines_.clear();
  buffer_.clear();
  told_ = delivered_;
}

}  // namespace sluice::telemetry
