#include "box/init/host_line.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace sluice::box {

short HostLine::events() const {
  return static_cast<short>(unsent_.empty() ? POLLIN : POLLIN | POLLOUT);
}

void HostLine::say(const GuestMessage& message) {
  const std::vector<std::uint8_t> bytes = emit(message);
  unsent_.insert(unsent_.end(), bytes.begin(), bytes.end());
  send();
}

void HostLine::turn() {
  send();
  receive();
}

std::optional<HostMessage> HostLine::take() {
  auto next = reader_.next();
  if (!next) {
    lost_ = true;
    return std::nullopt;
  }
  return *std::move(next);
}

std::optional<HostMessage> HostLine::wait() {
  while (true) {
    if (auto message = take()) return message;
    if (lost_) return std::nullopt;
    pollfd item{.fd = fd(), .events = events(), .revents = 0};
    (void)::poll(&item, 1, -1);
    turn();
  }
}

void HostLine::send() {
  while (!unsent_.empty() && !lost_) {
    const ssize_t sent = ::write(fd(), unsent_.data(), unsent_.size());
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return;
    if (sent <= 0) {
      lost_ = true;
      return;
    }
    unsent_.erase(unsent_.begin(), unsent_.begin() + sent);
  }
}

void HostLine::receive() {
  std::array<std::uint8_t, 4096> buffer{};
  while (!lost_) {
    const ssize_t got = ::read(fd(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      lost_ = true;
      return;
    }
    reader_.push(ByteView(buffer).first(static_cast<std::size_t>(got)));
  }
}

}  // namespace sluice::box
