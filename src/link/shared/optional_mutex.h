// A lock of what one thread has to itself in most runs; it costs a branch there.
#pragma once

#include <mutex>

namespace sluice::link {

class OptionalMutex {
 public:
  // Others are there, too. Before anybody locks it.
  void share() { shared_ = true; }

  void lock() {
    if (shared_) mutex_.lock();
  }
  void unlock() {
    if (shared_) mutex_.unlock();
  }

 private:
  std::mutex mutex_;
  bool shared_ = false;
};

}  // namespace sluice::link
