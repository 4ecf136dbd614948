// Messages between us and the child that becomes the guest, over a SOCK_SEQPACKET pair that
// closes on exec: one message a packet, link descriptors as SCM_RIGHTS.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/unique_fd.h"
#include "sys/setup_error.h"
#include "sys/sys_error.h"

namespace sluice::netns {

inline constexpr std::size_t kMaxLinkDescriptors = 128;

// The guest's link: a descriptor or two a queue, and a number that only its opener and its user
// understand (which offloads were granted, for instance).
struct OpenedLink {
  std::vector<UniqueFd> descriptors;
  std::uint64_t cookie = 0;
};

// A socket by which the guest's kernel tells which ports its processes wait at
// (netlink/listening_ports.h).
struct OpenedDiagnostics {
  UniqueFd socket;
};

struct GuestWarning {
  sys::SetupError error;
};
struct GuestFailed {
  sys::SetupError error;
};
struct GuestStopped {
  int signal = 0;
};
struct GuestGo {};
struct GuestHungUp {};  // The other side closed: exec succeeded, or the process is gone.

using GuestMessage = std::variant<GuestWarning, GuestFailed, OpenedLink, OpenedDiagnostics,
                                  GuestStopped, GuestGo, GuestHungUp>;

class GuestChannel {
 public:
  GuestChannel() = default;
  explicit GuestChannel(UniqueFd fd) : fd_(std::move(fd)) {}
  // The parent's end and the child's.
  [[nodiscard]] static std::expected<std::pair<GuestChannel, GuestChannel>, sys::SysError> pair();

  [[nodiscard]] int fd() const { return fd_.get(); }
  void close() { fd_.reset(); }

  // All but GuestHungUp can be sent. Blocks.
  [[nodiscard]] std::expected<void, sys::SysError> send(const GuestMessage& message) const;
  // The same when nothing can be done about a failure: the other side is gone, then.
  void tell(const GuestMessage& message) const;
  // Blocks until a message comes.
  [[nodiscard]] std::expected<GuestMessage, sys::SysError> receive() const;
  // Whether receive() would not block.
  [[nodiscard]] bool readable() const;

 private:
  UniqueFd fd_;
};

}  // namespace sluice::netns
