// Tells when the content of a file has changed, however it was written: in place, by a rename over
// it, by a change of a symbolic link on the way or of a link among its parent folders (inotify on
// all of them). Changes close together
// are told once; a write that leaves the content as it was is not told. Not thread-safe.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "base/unique_fd.h"
#include "sys/sys_error.h"

namespace sluice::service {

class FileWatch {
 public:
  // How long a file must be quiet, and how long we wait for that at most.
  static constexpr Duration kQuiet = std::chrono::milliseconds{100};
  static constexpr Duration kPatience = std::chrono::seconds{1};

  // What the file holds now is what changes are told against.
  [[nodiscard]] static std::expected<FileWatch, sys::SysError> open(const std::string& path);

  // Readable when something happened in a folder: then call on_readable().
  [[nodiscard]] int fd() const { return fd_.get(); }
  void on_readable(Instant now);
  // When to call changed(); kNever when nothing has happened.
  [[nodiscard]] Instant check_at() const { return check_at_; }
  // Whether the file is there and holds something else than the last time it was told.
  [[nodiscard]] bool changed(Instant now);
  // It was read for another reason.
  void accept_content();

 private:
  FileWatch(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  void watch_folders();
  [[nodiscard]] std::optional<std::uint64_t> digest() const;

  UniqueFd fd_;
  std::string path_;
  std::vector<int> watches_;  // In order.
  std::optional<std::uint64_t> seen_;
  Instant first_event_ = kNever;
  Instant check_at_ = kNever;
};

}  // namespace sluice::service
