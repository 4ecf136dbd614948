// The socket to a front-end: whole messages in, with the descriptors that came along, and answers
// out. Non-blocking, and bounded: one message is put together at a time. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "link/vhost_user/messages.h"
#include "sys/kernel.h"

namespace sluice::link {

class VhostConnection {
 public:
  struct Received {
    VhostMessage message;
    std::vector<UniqueFd> descriptors;
  };

  // A connected stream socket, non-blocking.
  explicit VhostConnection(sys::KernelFd socket) : socket_(std::move(socket)) {}

  [[nodiscard]] int fd() const { return socket_.get(); }
  // The next message, or nothing while it is not there as a whole. An error says in words why
  // there will be none; it is empty where the front-end went away between two messages.
  [[nodiscard]] std::expected<std::optional<Received>, std::string> receive();
  // Answers are small and waited for: one that is not taken at once was not wanted.
  // A descriptor that is valid goes along, as a copy.
  [[nodiscard]] bool send(const VhostMessage& answer, const UniqueFd& descriptor = UniqueFd());

 private:
  enum class Step : std::uint8_t { kDone, kNotYet };
  // Reads until `until` bytes of the message are there.
  [[nodiscard]] std::expected<Step, std::string> fill(std::size_t until);

  sys::KernelFd socket_;
  std::array<std::uint8_t, kVhostMessageMax> bytes_{};
  std::size_t have_ = 0;
  std::vector<UniqueFd> descriptors_;  // That came with these bytes.
};

}  // namespace sluice::link
