#include "relay/pipe_pool.h"

#include <fcntl.h>

#include <algorithm>
#include <initializer_list>

namespace sluice::relay {

PipePool::PipePool(sys::Kernel& kernel, std::size_t pipe_size, std::size_t pipes_max)
    : kernel_(kernel),
      pipe_size_(pipe_size),
      pipes_max_(pipes_max),
      idle_(std::min(kIdleMax, pipes_max)) {}

std::unique_ptr<Pipe> PipePool::take(Instant now) {
  std::unique_ptr<Pipe> pipe;
  if (auto kept = idle_.take()) {
    pipe = std::move(*kept);
  } else {
    if (lent_ >= pipes_max_ || now < refused_until_) return nullptr;
    pipe = make();
    if (pipe == nullptr) {
      refused_until_ = now + kPause;
      return nullptr;
    }
  }
  ++lent_;
  return pipe;
}

void PipePool::give_back(std::unique_ptr<Pipe> pipe) {
  --lent_;
  idle_.keep(std::move(pipe));
}

void PipePool::discard(std::unique_ptr<Pipe> pipe) {
  --lent_;
  pipe.reset();
}

[[gnu::cold]] std::unique_ptr<Pipe> PipePool::make() {
  int ends[2] = {-1, -1};
  if (kernel_.pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return nullptr;
  auto pipe = std::make_unique<Pipe>(
      Pipe{.out = sys::KernelFd(kernel_, ends[0]), .in = sys::KernelFd(kernel_, ends[1])});
  pipe->capacity = enlarge(ends[1]);
  if (pipe->capacity < std::min(kUseful, pipe_size_)) return nullptr;
  return pipe;
}

// A quarter of what was asked may be granted where the whole is not: the limit counts all pipes.
std::size_t PipePool::enlarge(int fd) {
  for (const std::size_t size : {pipe_size_, pipe_size_ / 4}) {
    const int granted = kernel_.fcntl_int(fd, F_SETPIPE_SZ, static_cast<int>(size));
    if (granted > 0) return static_cast<std::size_t>(granted);
  }
  return static_cast<std::size_t>(std::max(kernel_.fcntl_int(fd, F_GETPIPE_SZ, 0), 0));
}

}  // namespace sluice::relay
