// A kernel socket that takes over one end of an established TCP connection (TCP_REPAIR, tcp(7)):
// made frozen from a snapshot, then let go. Until it is released it goes without a word to the
// other side: neither FIN nor RST.
//
// Needs CAP_NET_ADMIN, and CAP_NET_BIND_SERVICE for ports of servers, in the network namespace.
#pragma once

#include <cstdint>
#include <expected>
#include <utility>

#include "sys/kernel.h"
#include "sys/sys_error.h"
#include "wire/transport/tcp_snapshot.h"

namespace sluice::agent {

class HandOverSocket {
 public:
  // Frozen: it sends nothing. EADDRNOTAVAIL while an earlier connection of the same two endpoints
  // still lingers (TIME_WAIT).
  [[nodiscard]] static std::expected<HandOverSocket, sys::SysError> make(
      const wire::TcpSnapshot& snapshot);

  // A bare socket in the frozen state, to see whether this system lets us have one.
  [[nodiscard]] static std::expected<sys::KernelFd, sys::SysError> make_frozen(
      wire::IpFamily family);

  HandOverSocket(HandOverSocket&&) noexcept = default;
  HandOverSocket& operator=(HandOverSocket&& other) noexcept;
  ~HandOverSocket() { discard(); }

  // Sends the other side a window probe, which a live connection answers at once.
  [[nodiscard]] std::expected<void, sys::SysError> go_live();

  // From here on whatever comes is dropped, as if lost on the way.
  [[nodiscard]] std::expected<void, sys::SysError> deafen();
  [[nodiscard]] std::expected<void, sys::SysError> hear();

  enum class Progress : std::uint8_t { kSilent, kAnswered, kDead };
  struct State {
    Progress progress = Progress::kSilent;
    // Bytes came in and are acknowledged: there is no way back.
    bool has_received = false;
  };
  [[nodiscard]] State state() const;
  // What ended a dead one; clears it.
  [[nodiscard]] int take_error() const;

  [[nodiscard]] int fd() const { return fd_.get(); }
  // The connection is whole and somebody else's from here on.
  [[nodiscard]] sys::KernelFd release() { return std::move(fd_); }

 private:
  explicit HandOverSocket(sys::KernelFd fd) : fd_(std::move(fd)) {}
  void discard();

  sys::KernelFd fd_;
};

}  // namespace sluice::agent
