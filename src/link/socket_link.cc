#include "link/socket_link.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <utility>

#include "link/packet_channel.h"
#include "link/stream_channel.h"
#include "sys/socket_options.h"

namespace sluice::link {
namespace {

// More frames a call, and fewer wake-ups of both ends; the system's bound (net.core.wmem_max)
// holds.
constexpr std::uint32_t kSendBuffer = 512 * 1024;

[[nodiscard]] std::unique_ptr<FrameChannel> channel_for(sys::Kernel& kernel,
                                                        const FrameSocket& socket) {
  if (socket.kind == FrameSocketKind::kStream) return std::make_unique<StreamChannel>(kernel);
  auto peer = PacketChannel::Peer::kConnection;
  if (socket.kind == FrameSocketKind::kDatagram) {
    peer = socket.connected ? PacketChannel::Peer::kConnected : PacketChannel::Peer::kWhoeverSends;
  }
  return std::make_unique<PacketChannel>(kernel, peer);
}

}  // namespace

SocketLink::SocketLink(sys::Kernel& kernel, sys::KernelFd poll,
                       std::unique_ptr<FrameChannel> channel, SocketLinkOptions options)
    : kernel_(kernel),
      poll_(std::move(poll)),
      poll_fd_(poll_.get()),
      channel_(std::move(channel)),
      options_(std::move(options)) {}

std::expected<std::unique_ptr<SocketLink>, sys::SysError> SocketLink::create(
    sys::Kernel& kernel, FrameSocket socket, SocketLinkOptions options) {
  sys::KernelFd poll(kernel, kernel.epoll_create1(EPOLL_CLOEXEC));
  if (!poll.valid()) return std::unexpected(sys::last_error(sys::SysOp::kEpollCreate));
  std::unique_ptr<SocketLink> link(
      new SocketLink(kernel, std::move(poll), channel_for(kernel, socket), std::move(options)));
  if (!socket.listens) {
    if (auto attached = link->attach(std::move(socket.socket)); !attached) {
      return std::unexpected(attached.error());
    }
    return link;
  }
  link->newest_counts_ = socket.kind == FrameSocketKind::kSeqpacket;
  // By edges: what cannot be accepted must not wake us again and again.
  if (link->control(EPOLL_CTL_ADD, socket.socket.get(), EPOLLIN | EPOLLET, Watched::kListener) !=
      0) {
    return std::unexpected(sys::last_error(sys::SysOp::kEpollCtl));
  }
  link->listener_ = std::move(socket.socket);
  link->keep_spare();
  return link;
}

int SocketLink::control(int operation, int fd, std::uint32_t events, Watched watched) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = static_cast<std::uint64_t>(watched);
  return kernel_.epoll_ctl(poll_fd_, operation, fd, &event);
}

std::expected<void, sys::SysError> SocketLink::attach(sys::KernelFd socket) {
  sys::prefer_buffers(socket, 0, kSendBuffer);
  if (control(EPOLL_CTL_ADD, socket.get(), EPOLLIN, Watched::kPeer) != 0) {
    return std::unexpected(sys::last_error(sys::SysOp::kEpollCtl));
  }
  peer_ = std::move(socket);
  channel_->attach(peer_.get());
  wants_room_ = false;
  told_turned_away_ = false;
  return {};
}

Link::Burst SocketLink::read_burst(Depth) {
  frames_.clear();
  bool drained = true;
  if (peer_.valid()) drained = read_peer();
  if ((frames_.empty() || wants_room_) && !gone_) look_at_events();
  update_interest();
  return {frames_, drained, gone_};
}

void SocketLink::look_at_events() {
  std::array<epoll_event, 2> events{};
  constexpr timespec kAtOnce{};
  const int count =
      kernel_.epoll_pwait2(poll_fd_, events.data(), static_cast<int>(events.size()), &kAtOnce);
  const std::span seen(events.data(), static_cast<std::size_t>(std::max(count, 0)));
  // Whoever comes behind a peer that has left is no second one, and accepted by end_peer().
  const bool left = std::ranges::any_of(seen, [](const epoll_event& event) {
    return event.data.u64 == static_cast<std::uint64_t>(Watched::kPeer) &&
           (event.events & EPOLLHUP) != 0;
  });
  for (const epoll_event& event : seen) {
    if (event.data.u64 == static_cast<std::uint64_t>(Watched::kListener)) {
      if (!left) accept_some();
    } else if ((event.events & EPOLLOUT) != 0 && peer_.valid() && channel_->waiting() > 0) {
      if (!channel_->flush()) channel_->await_peer();
    }
    // What else there is of the peer's is seen by reading.
  }
}

[[gnu::cold]] void SocketLink::accept_some() {
  while (true) {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    const auto accept_one = [&] {
      return kernel_.accept4(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
    };
    int fd = accept_one();
    if (fd < 0 && (errno == EMFILE || errno == ENFILE) && spare_.valid()) {
      spare_.reset();
      fd = accept_one();
    }
    if (fd < 0) {
      if (errno == ECONNABORTED || errno == EINTR) continue;
      if (errno != EAGAIN) {
        tell({.what = PeerNews::What::kNotTaken,
              .end = {.why = ChannelEnd::Why::kError, .error = errno}});
      }
      break;
    }
    sys::KernelFd socket(kernel_, fd);
    if (peer_.valid() && newest_counts_) drop_peer({.why = ChannelEnd::Why::kClosed});
    if (peer_.valid()) {
      if (!std::exchange(told_turned_away_, true)) tell({.what = PeerNews::What::kTurnedAway});
      continue;
    }
    if (const auto attached = attach(std::move(socket)); !attached) {
      tell({.what = PeerNews::What::kNotTaken,
            .end = {.why = ChannelEnd::Why::kError, .error = attached.error().error}});
      continue;
    }
    tell({.what = PeerNews::What::kCame});
  }
  keep_spare();
}

void SocketLink::keep_spare() {
  if (spare_.valid()) return;
  spare_ = sys::KernelFd(kernel_, kernel_.fcntl_int(poll_fd_, F_DUPFD_CLOEXEC, 0));
}

// Whether there is nothing more.
bool SocketLink::read_peer() {
  const FrameChannel::Read read = channel_->read(frames_);
  if (read.refused != 0) {
    tell({.what = PeerNews::What::kRefused,
          .end = {.why = ChannelEnd::Why::kError, .error = read.refused}});
  }
  if (read.met) tell({.what = PeerNews::What::kCame, .address = *read.met});
  if (read.nameless && !std::exchange(told_nameless_, true)) {
    tell({.what = PeerNews::What::kNameless});
  }
  if (!read.end) return read.drained;
  end_peer(*read.end);
  return true;
}

[[gnu::cold]] void SocketLink::drop_peer(const ChannelEnd& end) {
  tell({.what = PeerNews::What::kWent, .end = end});
  // Another process may have this socket too, which would leave it among the watched.
  (void)control(EPOLL_CTL_DEL, peer_.get(), 0, Watched::kPeer);
  peer_.reset();
  wants_room_ = false;
}

[[gnu::cold]] void SocketLink::end_peer(const ChannelEnd& end) {
  drop_peer(end);
  gone_ = !listener_.valid() || options_.guests == Guests::kOnlyOne;
  if (gone_) return;
  accept_some();  // One may have come before this one's end was seen.
}

// While something waits, the peer is watched for room as well.
void SocketLink::update_interest() {
  const bool wanted = peer_.valid() && channel_->waiting() > 0;
  if (wanted == wants_room_) return;
  wants_room_ = wanted;
  if (!peer_.valid()) return;
  const std::uint32_t events = wanted ? EPOLLIN | EPOLLOUT : EPOLLIN;
  (void)control(EPOLL_CTL_MOD, peer_.get(), events, Watched::kPeer);
}

std::size_t SocketLink::write(const wire::FrameBatch& batch) {
  if (!peer_.valid()) return batch.size();
  const std::size_t lost = channel_->write(batch);
  update_interest();
  return lost;
}

}  // namespace sluice::link
