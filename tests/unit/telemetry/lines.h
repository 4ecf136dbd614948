// For tests of what is written line by line: a file of their own, what is told meanwhile, and
// lines.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "telemetry/log.h"

namespace sluice::telemetry::test {

class TemporaryFile {
 public:
  TemporaryFile() {
    const int fd = ::mkstemp(path_.data());
    EXPECT_GE(fd, 0);
    ::close(fd);
  }
  ~TemporaryFile() { ::unlink(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string content() const {
    std::ostringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }

 private:
  std::string path_ = "/tmp/sluice-lines-XXXXXX";
};

// Everything that waits in a pipe, without waiting for more.
[[nodiscard]] inline std::string drain(const UniqueFd& reader) {
  EXPECT_EQ(::fcntl(reader.get(), F_SETFL, O_NONBLOCK), 0);
  std::string all;
  std::string piece(1 << 16, '\0');
  for (ssize_t got = 1; got > 0;) {
    got = ::read(reader.get(), piece.data(), piece.size());
    if (got > 0) all.append(piece, 0, static_cast<std::size_t>(got));
  }
  return all;
}

// Keeps the messages of the log while it lives. In a pipe: FileSizeLimit does not hold for it.
class ToldMessages {
 public:
  ToldMessages() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
    reader_.reset(ends[0]);
    writer_.reset(ends[1]);
    set_log_descriptor(writer_.get());
  }
  ~ToldMessages() { set_log_descriptor(STDERR_FILENO); }
  ToldMessages(const ToldMessages&) = delete;
  ToldMessages& operator=(const ToldMessages&) = delete;

  // All since it lives.
  [[nodiscard]] const std::string& text() {
    text_ += drain(reader_);
    return text_;
  }

 private:
  UniqueFd reader_;
  UniqueFd writer_;
  std::string text_;
};

// Regular files take so many bytes while it lives: as on a full disk, but a part is taken first.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  void (*handler_)(int);
  rlimit before_{};
};

[[nodiscard]] inline std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

[[nodiscard]] inline std::size_t lines_with(const std::string& text, std::string_view what) {
  std::size_t count = 0;
  for (const std::string& line : lines_of(text)) count += line.find(what) != std::string::npos;
  return count;
}

}  // namespace sluice::telemetry::test
