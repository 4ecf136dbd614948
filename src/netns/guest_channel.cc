#include "netns/guest_channel.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/overloaded.h"
#include "sys/control_message.h"
#include "sys/packet_text.h"

namespace sluice::netns {
namespace {

enum class Kind : std::uint8_t { kWarning, kFailed, kLink, kDiagnostics, kStopped, kGo };

// What crosses, as one packet. Both sides are the same program, so its layout is our own affair.
struct Packet {
  Kind kind = Kind::kGo;
  std::int32_t number = 0;  // errno, or the signal that stopped the command.
  std::uint64_t cookie = 0;
  std::array<char, 160> step{};
  std::array<char, 320> hint{};
};

Packet packet_of(Kind kind, const sys::SetupError& error) {
  Packet packet;
  packet.kind = kind;
  packet.number = error.error;
  sys::put_text(packet.step, error.step);
  sys::put_text(packet.hint, error.hint);
  return packet;
}

Packet packet_of(const GuestMessage& message) {
  return std::visit(Overloaded{
                        [](const GuestWarning& m) { return packet_of(Kind::kWarning, m.error); },
                        [](const GuestFailed& m) { return packet_of(Kind::kFailed, m.error); },
                        [](const OpenedLink& m) {
                          Packet packet;
                          packet.kind = Kind::kLink;
                          packet.cookie = m.cookie;
                          return packet;
                        },
                        [](const OpenedDiagnostics&) {
                          Packet packet;
                          packet.kind = Kind::kDiagnostics;
                          return packet;
                        },
                        [](const GuestStopped& m) {
                          Packet packet;
                          packet.kind = Kind::kStopped;
                          packet.number = m.signal;
                          return packet;
                        },
                        [](const GuestGo&) { return Packet{}; },
                        [](const GuestHungUp&) { return Packet{}; },
                    },
                    message);
}

// What goes along, as far as there is room for it.
std::vector<int> descriptors_of(const GuestMessage& message) {
  std::vector<int> fds;
  if (const auto* diagnostics = std::get_if<OpenedDiagnostics>(&message); diagnostics != nullptr) {
    if (diagnostics->socket.valid()) fds.push_back(diagnostics->socket.get());
  }
  if (const auto* link = std::get_if<OpenedLink>(&message); link != nullptr) {
    for (const UniqueFd& fd : link->descriptors) fds.push_back(fd.get());
  }
  fds.resize(std::min(fds.size(), kMaxLinkDescriptors));
  return fds;
}

// The only one that a message of its kind has.
UniqueFd one_of(std::vector<UniqueFd> fds) {
  return fds.empty() ? UniqueFd() : std::move(fds.front());
}

constexpr std::size_t kControlSize = CMSG_SPACE(sizeof(int) * kMaxLinkDescriptors);

}  // namespace

std::expected<std::pair<GuestChannel, GuestChannel>, sys::SysError> GuestChannel::pair() {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) != 0) {
    return std::unexpected(sys::last_error(sys::SysOp::kSocketPair));
  }
  return std::pair{GuestChannel(UniqueFd(fds[0])), GuestChannel(UniqueFd(fds[1]))};
}

std::expected<void, sys::SysError> GuestChannel::send(const GuestMessage& message) const {
  Packet packet = packet_of(message);
  iovec part{.iov_base = &packet, .iov_len = sizeof packet};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;

  alignas(cmsghdr) std::array<std::uint8_t, kControlSize> control{};
  if (const std::vector<int> fds = descriptors_of(message); !fds.empty()) {
    sys::ControlWriter writer(control);
    writer.add_descriptors(fds);
    writer.attach_to(header);
  }
  while (::sendmsg(fd_.get(), &header, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return std::unexpected(sys::last_error(sys::SysOp::kSend));
  }
  return {};
}

void GuestChannel::tell(const GuestMessage& message) const {
  if (!send(message)) return;
}

std::expected<GuestMessage, sys::SysError> GuestChannel::receive() const {
  Packet packet;
  iovec part{.iov_base = &packet, .iov_len = sizeof packet};
  alignas(cmsghdr) std::array<std::uint8_t, kControlSize> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();

  ssize_t got = 0;
  while ((got = ::recvmsg(fd_.get(), &header, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
  }
  if (got == 0 || (got < 0 && errno == ECONNRESET)) return GuestHungUp{};
  if (got < 0) return std::unexpected(sys::last_error(sys::SysOp::kReceive));
  if (got != sizeof packet) return std::unexpected(sys::SysError{sys::SysOp::kReceive, EPROTO});

  switch (packet.kind) {
    case Kind::kWarning:
      return GuestWarning{
          {sys::take_text(packet.step), packet.number, sys::take_text(packet.hint)}};
    case Kind::kFailed:
      return GuestFailed{{sys::take_text(packet.step), packet.number, sys::take_text(packet.hint)}};
    case Kind::kLink: return OpenedLink{sys::take_descriptors(header), packet.cookie};
    case Kind::kDiagnostics: return OpenedDiagnostics{one_of(sys::take_descriptors(header))};
    case Kind::kStopped: return GuestStopped{packet.number};
    case Kind::kGo: return GuestGo{};
  }
  return std::unexpected(sys::SysError{sys::SysOp::kReceive, EPROTO});
}

bool GuestChannel::readable() const {
  pollfd poll_fd{.fd = fd_.get(), .events = POLLIN, .revents = 0};
  return fd_.valid() && ::poll(&poll_fd, 1, 0) == 1;
}

}  // namespace sluice::netns
