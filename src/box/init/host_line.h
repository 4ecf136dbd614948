// The talk with the host over the control port: messages in order, held while the host is slow.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/unique_fd.h"
#include "box/guest/control_message.h"

namespace sluice::box {

class HostLine {
 public:
  // The port must not block.
  explicit HostLine(UniqueFd port) : port_(std::move(port)) {}

  [[nodiscard]] int fd() const { return port_.get(); }
  // POLLIN, and POLLOUT while something waits to be sent.
  [[nodiscard]] short events() const;

  void say(const GuestMessage& message);
  // What can be sent and received now. After it take() has what came.
  void turn();
  [[nodiscard]] std::optional<HostMessage> take();

  // Waits for a message; none once the line is lost.
  [[nodiscard]] std::optional<HostMessage> wait();

  // The host closed its end, or said what is no message.
  [[nodiscard]] bool lost() const { return lost_; }

 private:
  void send();
  void receive();

  UniqueFd port_;
  HostMessageReader reader_;
  std::vector<std::uint8_t> unsent_;
  bool lost_ = false;
};

}  // namespace sluice::box
