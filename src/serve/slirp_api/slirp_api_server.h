// The API socket of slirp4netns (--api-socket), a file: whoever may open it publishes ports, and
// takes away those that were published there. A few clients at a time, of each a bounded memory and
// a bounded time: while slirp4netns waits for one that is silent it serves nobody, the guest
// included, and here nobody waits. Has a loop of its own, which stands for all its descriptors in
// that of whoever runs it. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <expected>
#include <memory>
#include <string>

#include "base/time.h"
#include "serve/slirp_api/host_forwards.h"
#include "serve/slirp_api/slirp_request.h"
#include "sys/event_loop.h"
#include "sys/kernel.h"
#include "sys/sys_error.h"

namespace sluice::serve {

class SlirpApiServer {
 public:
  static constexpr std::size_t kClientsMax = 8;
  // For a whole request, and then for its answer to be taken.
  static constexpr Duration kPatience = std::chrono::seconds(5);

  // A file that stands for nobody any more is replaced. Its owner alone may open it.
  [[nodiscard]] static std::expected<std::unique_ptr<SlirpApiServer>, sys::SysError> open(
      sys::Kernel& kernel, const std::string& path);
  SlirpApiServer(const SlirpApiServer&) = delete;
  SlirpApiServer& operator=(const SlirpApiServer&) = delete;

  // Before the first turn. Not owned.
  void serve(HostForwards& forwards) { forwards_ = &forwards; }

  // Readable when turn() has something to do.
  [[nodiscard]] int fd() const { return loop_.fd(); }
  [[nodiscard]] Instant next_wakeup() const;
  // Does what is to be done, without waiting. Whenever fd() is readable, and at the time above.
  void turn(Instant now);

 private:
  struct Client {
    sys::KernelFd socket;
    Instant began{};
    Instant until{};  // What has not come by then does not count.
    std::string input;
    bool ended = false;  // It has said all.
    std::string output;  // Empty: it has not been answered yet.
    std::size_t sent = 0;
  };

  SlirpApiServer(sys::EventLoop loop, sys::KernelFd listener)
      : loop_(std::move(loop)), listener_(std::move(listener)) {}

  void accept(Instant now);
  void set_accepting(bool accepting);
  [[nodiscard]] std::size_t place_for_another(Instant now);
  // False: there is no more to do for it.
  [[nodiscard]] bool advance(std::size_t place, Instant now);
  [[nodiscard]] bool read(Client& client);
  [[nodiscard]] bool write(Client& client);

  sys::EventLoop loop_;
  sys::KernelFd listener_;
  HostForwards* forwards_ = nullptr;
  std::array<std::unique_ptr<Client>, kClientsMax> clients_;
  Instant resume_at_ = kNever;  // When to accept again.
};

}  // namespace sluice::serve
