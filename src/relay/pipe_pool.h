// Pipes for splice(2). Not thread-safe.
//
// A pipe is enlarged to what Options::pipe_size asks for, as far as the kernel lets us: not beyond
// fs.pipe-max-size, and for an unprivileged user not once all of his pipes together reach
// fs.pipe-user-pages-soft (64 MiB unless set otherwise), from where on new pipes shrink to two
// pages; see pipe(7). So there is a bound on how many exist, refusal is an ordinary answer, and
// after one the kernel is left alone for a while.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>

#include "base/time.h"
#include "relay/idle_stock.h"
#include "sys/kernel.h"

namespace sluice::relay {

struct Pipe {
  sys::KernelFd out;         // To read from.
  sys::KernelFd in;          // To write to.
  std::size_t capacity = 0;  // Bytes, if every slot holds a whole page.
};

class PipePool {
 public:
  static constexpr std::size_t kIdleMax = 8;
  // Below this a pipe carries less in a call than an ordinary buffer does. It is also what a pipe
  // has from the start (pipe(7)), so it needs no favour.
  static constexpr std::size_t kUseful = 65'536;
  static constexpr Duration kPause = std::chrono::seconds{5};

  PipePool(sys::Kernel& kernel, std::size_t pipe_size, std::size_t pipes_max);

  // An empty pipe, or null: all are lent, or the kernel refused lately.
  [[nodiscard]] std::unique_ptr<Pipe> take(Instant now);
  // An empty one is kept. One that still holds bytes would mix them into another stream.
  void give_back(std::unique_ptr<Pipe> pipe);
  void discard(std::unique_ptr<Pipe> pipe);

  // Closes what nobody needed since the last call.
  void age() { idle_.age(); }

  [[nodiscard]] std::size_t lent() const { return lent_; }
  [[nodiscard]] std::size_t idle() const { return idle_.size(); }

 private:
  [[nodiscard]] std::unique_ptr<Pipe> make();
  [[nodiscard]] std::size_t enlarge(int fd);

  sys::Kernel& kernel_;
  std::size_t pipe_size_;
  std::size_t pipes_max_;
  std::size_t lent_ = 0;
  Instant refused_until_{};
  IdleStock<std::unique_ptr<Pipe>> idle_;
};

}  // namespace sluice::relay
