// The API socket of slirp4netns (--api-socket), a file: whoever may open it publishes ports, and
// takes away those that were published there. While slirp4netns waits for a client that is silent
// it serves nobody, the guest included; here nobody waits. Not thread-safe.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "base/time.h"
#include "serve/answers/answer_server.h"
#include "serve/slirp_api/host_forwards.h"
#include "sys/kernel.h"
#include "sys/sys_error.h"

namespace sluice::serve {

class SlirpApiServer final : private Answerer {
 public:
  // A file that stands for nobody any more is replaced. Its owner alone may open it.
  [[nodiscard]] static std::expected<std::unique_ptr<SlirpApiServer>, sys::SysError> open(
      sys::Kernel& kernel, const std::string& path);

  // Before the first turn. Not owned.
  void serve(HostForwards& forwards) { forwards_ = &forwards; }

  // As AnswerServer has them.
  [[nodiscard]] int fd() const { return server_.fd(); }
  [[nodiscard]] Instant next_wakeup() const { return server_.next_wakeup(); }
  void turn(Instant now) { server_.turn(now, *this); }

 private:
  explicit SlirpApiServer(AnswerServer server) : server_(std::move(server)) {}

  std::optional<std::string> answer(const Said& said, Instant now) override;

  AnswerServer server_;
  HostForwards* forwards_ = nullptr;
};

}  // namespace sluice::serve
