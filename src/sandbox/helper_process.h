// Processes of ours that live on beside us after a fork, without exec, and talk to us over one
// descriptor, or one for each of our workers.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <functional>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "sandbox/seccomp_filter.h"
#include "sys/setup_error.h"

namespace sluice::sandbox {

enum class ParentsEnd : std::uint8_t {
  kIsOurs,
  kIsSeen,  // By the channel: there is work to do then.
};

// Makes the calling process, just forked, stand alone: with no descriptor but `channels`, terminal
// or signal of the process that it is a copy of, undumpable, called `name`, and dead with its
// parent, unless it is to outlive that. Returns the channels, in their order, under new numbers.
// Where a filter is to be debugged standard error stays.
[[nodiscard]] std::vector<UniqueFd> stand_alone(std::vector<UniqueFd> channels, const char* name,
                                                SeccompMode mode,
                                                ParentsEnd end = ParentsEnd::kIsOurs);
// With one.
[[nodiscard]] UniqueFd stand_alone(UniqueFd channel, const char* name, SeccompMode mode,
                                   ParentsEnd end = ParentsEnd::kIsOurs);

// One that is forked from us, and our end of the channel to it. Not thread-safe.
class HelperProcess {
 public:
  // What it does, by its end of the channel: stands alone first of all, and never returns.
  using Work = std::function<void(UniqueFd channel)>;

  // For a process with one thread. `type` is the channel's: SOCK_STREAM, say. `step` is what an
  // error calls the start.
  [[nodiscard]] static std::expected<HelperProcess, sys::SetupError> start(const char* step,
                                                                           int type,
                                                                           const Work& work);
  HelperProcess() = default;  // None.
  HelperProcess(HelperProcess&& other) noexcept
      : channel_(std::move(other.channel_)), pid_(std::exchange(other.pid_, -1)) {}
  HelperProcess& operator=(HelperProcess&& other) noexcept {
    std::swap(channel_, other.channel_);
    std::swap(pid_, other.pid_);
    return *this;
  }
  // Closes the channel, which is to end the process, and waits for its end.
  ~HelperProcess();

  [[nodiscard]] int channel() const { return channel_.get(); }
  // The process ends with the channel as before, but nobody waits for it.
  [[nodiscard]] UniqueFd release() &&;

 private:
  HelperProcess(UniqueFd channel, pid_t pid) : channel_(std::move(channel)), pid_(pid) {}

  UniqueFd channel_;
  pid_t pid_ = -1;
};

}  // namespace sluice::sandbox
