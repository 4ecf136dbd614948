// The real kernel, made unreliable from a seed: short reads, writes and splices, EAGAIN, EINTR,
// refused pipes. What it withholds comes back later as an event, as an edge-triggered epoll would
// report it, so a relay that is correct loses nothing and never waits in vain.
#pragma once

#include <sys/epoll.h>

#include <cerrno>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "unit/relay/pass_kernel.h"

namespace sluice::relay {

class ChaosKernel final : public PassKernel {
 public:
  struct Late {
    int fd = -1;
    std::uint32_t events = 0;
    int turns = 0;  // Until it is due.
  };

  // `trouble`: how many calls of a hundred are disturbed.
  ChaosKernel(std::uint32_t seed, unsigned trouble) : random_(seed), trouble_(trouble) {}

  // Once the FIN or an error was told, TCP hands out all the rest in whole reads.
  void told_of_end(int fd) { whole_.insert(fd); }

  // The events that are due in this turn.
  [[nodiscard]] std::vector<Late> next_turn() {
    std::vector<Late> due;
    std::erase_if(late_, [&](Late& late) {
      if (--late.turns > 0) return false;
      due.push_back(late);
      return true;
    });
    return due;
  }
  [[nodiscard]] std::size_t open_pipe_ends() const { return pipe_ends_.size(); }

  std::uint64_t calls = 0;
  std::uint64_t disturbed = 0;

  ssize_t recv(int fd, void* buffer, size_t length, int flags) override {
    ++calls;
    if (interrupted()) return -1;
    if (whole_.contains(fd)) return PassKernel::recv(fd, buffer, length, flags);
    if (withheld(fd, EPOLLIN)) return -1;
    return PassKernel::recv(fd, buffer, shortened(fd, length, EPOLLIN), flags);
  }
  ssize_t send(int fd, const void* buffer, size_t length, int flags) override {
    ++calls;
    if (interrupted() || withheld(fd, EPOLLOUT)) return -1;
    return PassKernel::send(fd, buffer, shortened(fd, length, EPOLLOUT), flags);
  }
  ssize_t splice(int from, int to, size_t length, unsigned flags) override {
    ++calls;
    const bool reads = pipe_ends_.contains(to);
    const int fd = reads ? from : to;
    if (interrupted()) return -1;
    if (reads && happens(trouble_ / 8)) {
      errno = EINVAL;
      return -1;
    }
    if (reads && whole_.contains(fd)) return PassKernel::splice(from, to, length, flags);
    const std::uint32_t events = reads ? EPOLLIN : EPOLLOUT;
    if (withheld(fd, events)) return -1;
    return PassKernel::splice(from, to, shortened(fd, length, events), flags);
  }
  int pipe2(int ends[2], int flags) override {
    if (happens(trouble_)) {
      errno = EMFILE;
      return -1;
    }
    const int result = PassKernel::pipe2(ends, flags);
    if (result == 0) pipe_ends_.insert({ends[0], ends[1]});
    return result;
  }
  int fcntl_int(int fd, int command, int value) override {
    if (happens(trouble_)) {
      errno = EPERM;
      return -1;
    }
    return PassKernel::fcntl_int(fd, command, value);
  }
  int close(int fd) override {
    pipe_ends_.erase(fd);
    whole_.erase(fd);
    std::erase_if(late_, [fd](const Late& late) { return late.fd == fd; });
    return PassKernel::close(fd);
  }

 private:
  [[nodiscard]] bool happens(unsigned percent) {
    if (random_() % 100 >= percent) return false;
    ++disturbed;
    return true;
  }
  [[nodiscard]] bool interrupted() {
    if (!happens(trouble_ / 4)) return false;
    errno = EINTR;
    return true;
  }
  [[nodiscard]] bool withheld(int fd, std::uint32_t events) {
    if (!happens(trouble_)) return false;
    owe(fd, events);
    errno = EAGAIN;
    return true;
  }
  [[nodiscard]] size_t shortened(int fd, size_t length, std::uint32_t events) {
    if (length < 2 || !happens(trouble_)) return length;
    owe(fd, events);
    // Often a few bytes, sometimes almost everything.
    const size_t most = random_() % 2 == 0 ? std::min<size_t>(length, 100) : length;
    return 1 + random_() % (most - 1);
  }
  void owe(int fd, std::uint32_t events) {
    late_.push_back({fd, events, 1 + static_cast<int>(random_() % 4)});
  }

  std::mt19937 random_;
  unsigned trouble_;
  std::set<int> pipe_ends_;
  std::set<int> whole_;
  std::vector<Late> late_;
};

}  // namespace sluice::relay
