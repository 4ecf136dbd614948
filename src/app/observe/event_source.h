// A file of events, line by line, and what is appended to it. Not thread-safe.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "sys/sys_error.h"

namespace sluice::app {

class EventSource {
 public:
  // "-" is standard input. A pipe is waited for, whether followed or not.
  [[nodiscard]] static std::expected<EventSource, sys::SysError> open(const std::string& path,
                                                                      bool follow);

  // Lines without their newlines, until the end; of a file that is followed there is none. One that
  // is longer than any event comes as its beginning. `idle` is called whenever there is nothing
  // more for now; false ends it.
  [[nodiscard]] std::expected<void, sys::SysError> read_all(
      const std::function<void(std::string_view)>& on_line, const std::function<bool()>& idle);

 private:
  EventSource(UniqueFd fd, bool follow) : fd_(std::move(fd)), follow_(follow) {}
  void split(std::string_view piece, const std::function<void(std::string_view)>& on_line);
  // The file was emptied: it is read from its beginning again.
  void rewind_if_shorter();

  UniqueFd fd_;
  bool follow_;
  std::string rest_;  // The beginning of a line.
  std::uint64_t position_ = 0;
};

}  // namespace sluice::app
