// The front-end's side of a vhost-user socket (QEMU's document of that name): requests out, with
// descriptors, and the answers to those that have one. Blocking, and bounded in time: a back-end
// that does not answer is as good as gone. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <span>
#include <string>

#include "link/vhost_user/messages.h"
#include "sys/kernel.h"
#include "sys/sys_error.h"

namespace sluice::box {

class VhostFrontEnd {
 public:
  // What is waited for an answer.
  static constexpr int kPatienceSeconds = 10;

  // A connected stream socket, blocking.
  [[nodiscard]] static std::expected<VhostFrontEnd, sys::SysError> over(sys::KernelFd socket);

  [[nodiscard]] int fd() const { return socket_.get(); }

  // Errors are half a sentence: "SET_MEM_TABLE: it went away".
  using Done = std::expected<void, std::string>;
  using Number = std::expected<std::uint64_t, std::string>;

  // Descriptors go along as copies.
  [[nodiscard]] Done send(link::VhostRequest request, const link::VhostPayload& payload,
                          std::span<const int> descriptors = {});
  // The same, and waits for the back-end's word that it was done, once that can be had
  // (expect_words()).
  [[nodiscard]] Done send_and_hear(link::VhostRequest request, const link::VhostPayload& payload,
                                   std::span<const int> descriptors = {});
  void expect_words() { words_ = true; }

  // GET_FEATURES, GET_PROTOCOL_FEATURES and the like.
  [[nodiscard]] Number get(link::VhostRequest request);
  // Stops a ring; when it returns the back-end does not touch it any more.
  [[nodiscard]] std::expected<std::uint32_t, std::string> get_vring_base(std::uint32_t index);

 private:
  // Every answer that is asked for here has eight bytes.
  static constexpr std::size_t kAnswerSize = 8;
  using Answer = std::array<std::uint8_t, kAnswerSize>;

  explicit VhostFrontEnd(sys::KernelFd socket) : socket_(std::move(socket)) {}
  [[nodiscard]] Done send_message(const link::VhostMessage& message,
                                  std::span<const int> descriptors);
  [[nodiscard]] std::expected<Answer, std::string> hear(link::VhostRequest request);

  sys::KernelFd socket_;
  bool words_ = false;
};

}  // namespace sluice::box
