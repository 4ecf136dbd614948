// One answer to each client of a listening socket: takes what he says until it is a request, gives
// the answer and closes. No more than a few clients at a time, of each a bounded memory and a
// bounded time, and a bounded share of a turn: nobody waits for one of them. Has a loop of its own,
// which stands for all its descriptors in that of whoever runs it. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "sys/event_loop.h"
#include "sys/kernel.h"
#include "sys/sys_error.h"

namespace sluice::serve {

// Who knows the answers.
class Answerer {
 public:
  struct Said {
    std::string_view bytes{};  // All that has come.
    bool ended = false;        // No more will.
  };

  // Nothing: it is no request yet; when it has ended, nor will it be one. An answer is not empty.
  virtual std::optional<std::string> answer(const Said& said, Instant now) = 0;

 protected:
  ~Answerer() = default;
};

class AnswerServer {
 public:
  static constexpr std::size_t kClientsMax = 8;
  // For a whole request, and then for its answer to be taken.
  static constexpr Duration kPatience = std::chrono::seconds(5);

  // Of a socket that is bound. What a client says beyond `request_max` bytes is not read.
  [[nodiscard]] static std::expected<AnswerServer, sys::SysError> listen(sys::KernelFd socket,
                                                                         std::size_t request_max);

  [[nodiscard]] const sys::KernelFd& listener() const { return listener_; }
  // Readable when turn() has something to do.
  [[nodiscard]] int fd() const { return loop_.fd(); }
  [[nodiscard]] Instant next_wakeup() const;
  // Does what is to be done, without waiting. Whenever fd() is readable, and at the time above.
  void turn(Instant now, Answerer& answerer);

 private:
  struct Client {
    sys::KernelFd socket;
    Instant began{};
    Instant until{};  // What is not done by then is given up.
    std::string input;
    bool ended = false;  // He has said all.
    std::string output;  // Empty: he has not been answered yet.
    std::size_t sent = 0;
  };

  AnswerServer(sys::EventLoop loop, sys::KernelFd listener, std::size_t request_max)
      : loop_(std::move(loop)), listener_(std::move(listener)), request_max_(request_max) {}

  void accept(Instant now, Answerer& answerer);
  void pause(Instant now);
  void set_accepting(bool accepting);
  [[nodiscard]] std::size_t place_for_another(Instant now);
  // False: there is no more to do for him.
  [[nodiscard]] bool advance(std::size_t place, Instant now, Answerer& answerer);
  [[nodiscard]] bool read(Client& client) const;
  [[nodiscard]] static bool write(Client& client);

  sys::EventLoop loop_;
  sys::KernelFd listener_;
  std::size_t request_max_;
  std::array<std::unique_ptr<Client>, kClientsMax> clients_;
  Instant resume_at_ = kNever;  // When to accept again.
};

}  // namespace sluice::serve
