// The port of --metrics: tells whoever asks by HTTP what the run has counted, for Prometheus and
// its like. No more than a few clients at a time, of each a bounded memory and a bounded time, and
// a bounded share of a turn: nobody waits for one of them. It says nothing but counts, so it asks
// nobody who he is. Has a loop of its own, which stands for all its descriptors in that of whoever
// runs it. Not thread-safe.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "base/time.h"
#include "serve/metrics/metrics_request.h"
#include "sys/event_loop.h"
#include "sys/kernel.h"
#include "sys/sys_error.h"
#include "wire/address.h"

namespace sluice::serve {

// What is told.
class MetricsSource {
 public:
  // The metrics as they are now, behind what `out` holds.
  virtual void append(fmt::memory_buffer& out) = 0;

 protected:
  ~MetricsSource() = default;
};

class MetricsServer {
 public:
  static constexpr std::size_t kClientsMax = 8;
  // To gather what is told costs a walk over all flows: it may be so old.
  static constexpr Duration kFresh = std::chrono::milliseconds(100);
  // For a whole request, and then for its answer to be taken.
  static constexpr Duration kPatience = std::chrono::seconds(5);

  [[nodiscard]] static std::expected<std::unique_ptr<MetricsServer>, sys::SysError> open(
      sys::Kernel& kernel, const wire::Endpoint& endpoint);
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  // Before the first turn. Not owned.
  void serve(MetricsSource& source) { source_ = &source; }
  // Where it listens, with the port that the kernel chose.
  [[nodiscard]] const wire::Endpoint& endpoint() const { return endpoint_; }

  // Readable when turn() has something to do.
  [[nodiscard]] int fd() const { return loop_.fd(); }
  [[nodiscard]] Instant next_wakeup() const;
  // Does what is to be done, without waiting. Whenever fd() is readable, and at the time above.
  void turn(Instant now);

 private:
  struct Client {
    sys::KernelFd socket;
    Instant began{};
    Instant until{};  // What is not done by then is given up.
    std::string input;
    std::string output;  // Empty: it has not been answered yet.
    std::size_t sent = 0;
  };

  MetricsServer(sys::EventLoop loop, sys::KernelFd listener, const wire::Endpoint& endpoint)
      : loop_(std::move(loop)), listener_(std::move(listener)), endpoint_(endpoint) {}

  void accept(Instant now);
  void set_accepting(bool accepting);
  [[nodiscard]] std::size_t place_for_another(Instant now);
  // False: there is no more to do for it.
  [[nodiscard]] bool advance(std::size_t place, Instant now);
  [[nodiscard]] bool read(Client& client);
  [[nodiscard]] bool write(Client& client);
  [[nodiscard]] std::string answer(const MetricsRequest& request, Instant now);

  sys::EventLoop loop_;
  sys::KernelFd listener_;
  wire::Endpoint endpoint_;
  MetricsSource* source_ = nullptr;
  std::array<std::unique_ptr<Client>, kClientsMax> clients_;
  fmt::memory_buffer text_;
  Instant text_until_{};        // From then on it is to be gathered anew.
  Instant resume_at_ = kNever;  // When to accept again.
};

}  // namespace sluice::serve
