// The port of --metrics: tells whoever asks by HTTP what the run has counted, for Prometheus and
// its like. It says nothing but counts, so it asks nobody who he is. Not thread-safe.
#pragma once

#include <fmt/format.h>

#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "base/time.h"
#include "serve/answers/answer_server.h"
#include "serve/metrics/metrics_request.h"
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

class MetricsServer final : private Answerer {
 public:
  // To gather what is told costs a walk over all flows: it may be so old.
  static constexpr Duration kFresh = std::chrono::milliseconds(100);

  [[nodiscard]] static std::expected<std::unique_ptr<MetricsServer>, sys::SysError> open(
      sys::Kernel& kernel, const wire::Endpoint& endpoint);

  // Before the first turn. Not owned.
  void serve(MetricsSource& source) { source_ = &source; }
  // Where it listens, with the port that the kernel chose.
  [[nodiscard]] const wire::Endpoint& endpoint() const { return endpoint_; }

  // Whether it is who waits there: at all addresses, also at each.
  [[nodiscard]] bool waits_at(const wire::Endpoint& at) const {
    return at.port == endpoint_.port && (at == endpoint_ || endpoint_.address.is_unspecified());
  }

  // As AnswerServer has them.
  [[nodiscard]] int fd() const { return server_.fd(); }
  [[nodiscard]] Instant next_wakeup() const { return server_.next_wakeup(); }
  void turn(Instant now) { server_.turn(now, *this); }

 private:
  MetricsServer(AnswerServer server, const wire::Endpoint& endpoint)
      : server_(std::move(server)), endpoint_(endpoint) {}

  std::optional<std::string> answer(const Said& said, Instant now) override;
  [[nodiscard]] std::string reply_to(const MetricsRequest& request, Instant now);

  AnswerServer server_;
  wire::Endpoint endpoint_;
  MetricsSource* source_ = nullptr;
  fmt::memory_buffer text_;
  Instant text_until_{};  // From then on it is to be gathered anew.
};

}  // namespace sluice::serve
