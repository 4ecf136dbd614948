// Requests from other threads to a worker. Posting takes a lock for an instant and wakes the
// worker by an eventfd; the data path never comes here.
#pragma once

#include <mutex>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "sys/event_fd.h"

namespace sluice::service {

template <typename Message>
class Mailbox {
 public:
  Mailbox() : event_(sys::open_event_fd()) {}

  [[nodiscard]] bool valid() const { return event_.valid(); }
  [[nodiscard]] int fd() const { return event_.get(); }

  // False, and `message` is untouched, after close_if_empty(): nobody reads any more.
  [[nodiscard]] bool post(Message&& message) {
    {
      const std::lock_guard guard(lock_);
      if (closed_) return false;
      messages_.push_back(std::move(message));
    }
    sys::ring(sys::real_kernel(), event_.get());
    return true;
  }

  // All messages so far, in their order.
  [[nodiscard]] std::vector<Message> take() {
    sys::drain(sys::real_kernel(), event_.get());
    const std::lock_guard guard(lock_);
    return std::exchange(messages_, {});
  }

  // False while there is something to take.
  [[nodiscard]] bool close_if_empty() {
    const std::lock_guard guard(lock_);
    closed_ = messages_.empty();
    return closed_;
  }

 private:
  UniqueFd event_;
  std::mutex lock_;
  std::vector<Message> messages_;
  bool closed_ = false;
};

}  // namespace sluice::service
