// Lines of the event stream that wait for one reader: a file, or a client. A reader that is too
// slow for them loses some, and is told in its own stream: instead of events 4 to 8 it gets
//
//   {"v":1,"seq":8,...,"type":"lost","count":5}
//
// with the next event for which there is room, or once it has read all that it was kept: so each
// line's number is one above the line's before it, or above that by a count, and who has caught up
// knows what is missing. Nobody waits. Not thread-safe.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string_view>

#include "telemetry/events/event_line.h"

namespace sluice::telemetry {

class EventQueue {
 public:
  // Lines are kept while they are at most `size_max` bytes together.
  explicit EventQueue(std::size_t size_max) : size_max_(size_max) {}

  // A line with its newline, whose head is `head`. The first one's number is where this reader
  // begins: what was before is not missing.
  void add(const EventHead& head, std::string_view line);

  // Whole lines, but for one of which a part was taken; valid until the next call.
  [[nodiscard]] std::string_view pending() const { return {buffer_.data(), buffer_.size()}; }
  [[nodiscard]] bool empty() const { return buffer_.size() == 0; }
  // The reader has these bytes, from the front. If nothing would be left, it is told what is
  // missing.
  void taken(std::size_t bytes);
  // It has all that is pending, but for so many lines at the end, which it will not get.
  void taken_but(std::uint64_t lines);

  // Events that this reader did not get until now.
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  struct Line {
    std::uint64_t sequence;
    bool event;  // Else it tells of others that are lost.
  };

  [[nodiscard]] bool has_room(std::size_t bytes) const {
    return buffer_.size() + bytes <= size_max_;
  }
  void put(const Line& place, std::string_view line);
  // Up to the one of this head.
  void tell_missing(const EventHead& head);

  std::size_t size_max_;
  fmt::memory_buffer buffer_;
  std::deque<Line> lines_;       // Those in it.
  std::uint64_t told_ = 0;       // The number of the last line that was put in it.
  std::uint64_t delivered_ = 0;  // ... that the reader has.
  EventHead newest_;             // The head of the last one that there was.
  std::uint64_t lost_ = 0;
};

}  // namespace sluice::telemetry
