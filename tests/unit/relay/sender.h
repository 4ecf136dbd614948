// Who sends at a far end of a pair.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <string>

namespace sluice::relay {

// Pushes `text` into `from` as far as it takes it; closes the writing side behind it.
class Sender {
 public:
  Sender(int fd, const std::string& text, std::size_t piece = SIZE_MAX)
      : fd_(fd), text_(text), piece_(piece) {}
  void push() {
    while (at_ < text_.size()) {
      const std::size_t length = std::min(piece_, text_.size() - at_);
      const ssize_t sent = ::send(fd_, text_.data() + at_, length, MSG_NOSIGNAL);
      if (sent <= 0) return;
      at_ += static_cast<std::size_t>(sent);
    }
    if (!closed_) ::shutdown(fd_, SHUT_WR);
    closed_ = true;
  }

 private:
  int fd_;
  const std::string& text_;
  std::size_t piece_;
  std::size_t at_ = 0;
  bool closed_ = false;
};

}  // namespace sluice::relay
