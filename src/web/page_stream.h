// The events of a run for one page, as server-sent events (the HTML standard, 9.2): a line of JSON
// each, behind "data: ". Bounded: a page that does not keep up loses some, and is told how many in
// their place, by an event "missed". No calls of a library's in here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sluice::web {

class PageStream {
 public:
  explicit PageStream(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // `line` has no newline, as JSON has none within.
  void add(std::string_view line);
  // No event is missing from here on: an event "begin".
  void begin();
  // A comment, by which a page that is gone is found out.
  void beat();
  // There will be no more.
  void end();

  [[nodiscard]] bool empty() const { return taken_ == pending_.size(); }
  // All was told, and taken.
  [[nodiscard]] bool is_done() const { return ended_ && empty(); }
  // As much as there is room for; how much it was.
  [[nodiscard]] std::size_t take(std::span<char> into);

 private:
  void tell_missed();

  std::size_t bytes_max_;
  std::string pending_;
  std::size_t taken_ = 0;
  std::uint64_t missed_ = 0;
  bool ended_ = false;
};

}  // namespace sluice::web
