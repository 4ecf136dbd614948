#include "control/client.h"

#include <sys/socket.h>

#include <cerrno>

#include "sys/sys_error.h"

namespace sluice::control {
namespace {

constexpr std::size_t kReadSize = 16 * 1024;

}  // namespace

bool Client::read(Instant now) {
  if (taken_ > 0) {
    input_.erase(0, taken_);
    scanned_ -= taken_;
    taken_ = 0;
  }
  const std::size_t had = input_.size();
  input_.resize(had + kReadSize);
  const ssize_t got =
      socket_.kernel().recv(socket_.get(), input_.data() + had, kReadSize, MSG_DONTWAIT);
  const int error = errno;
  input_.resize(had + (got > 0 ? static_cast<std::size_t>(got) : 0));
  if (got < 0) return sys::would_block(error);
  // It may wait for answers to what it has said.
  if (got == 0) finished_ = true;
  moved_ = now;
  if (events_) clear_input();  // There is nothing more to say.
  while (scanned_ < input_.size() && input_[scanned_] != '\n') ++scanned_;
  return true;
}

void Client::finish() {
  finished_ = true;
  clear_input();
}

void Client::clear_input() {
  input_.clear();
  taken_ = 0;
  scanned_ = 0;
}

bool Client::write(Instant now) {
  while (has_output()) {
    const bool answers = sent_ < output_.size();
    const std::string_view bytes =
        answers ? std::string_view(output_.data() + sent_, output_.size() - sent_)
                : events_->pending();
    const ssize_t sent = socket_.kernel().send(socket_.get(), bytes.data(), bytes.size(),
                                               MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) return sys::would_block(errno);
    moved_ = now;
    if (!answers) {
      events_->taken(static_cast<std::size_t>(sent));
      continue;
    }
    sent_ += static_cast<std::size_t>(sent);
    if (sent_ < output_.size()) continue;
    output_ = fmt::memory_buffer();  // What a page of flows took is given back.
    sent_ = 0;
  }
  return true;
}

bool Client::has_line() const {
  return scanned_ < input_.size() && output_.size() - sent_ < kUnreadMax && !events_;
}

std::string_view Client::take_line() {
  const std::string_view line = std::string_view(input_).substr(taken_, scanned_ - taken_);
  taken_ = ++scanned_;
  while (scanned_ < input_.size() && input_[scanned_] != '\n') ++scanned_;
  return line;
}

bool Client::line_too_long() const { return scanned_ - taken_ > kLineMax; }

bool Client::has_output() const { return sent_ < output_.size() || (events_ && !events_->empty()); }

bool Client::wants_input() const {
  return !finished_ && !has_line() && !line_too_long() && output_.size() - sent_ < kUnreadMax;
}

Instant Client::deadline() const { return sent_ < output_.size() ? moved_ + kPatience : kNever; }

}  // namespace sluice::control
