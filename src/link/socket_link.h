// The frames of one machine by a socket, as a link: QEMU, libkrun, vfkit, User Mode Linux and
// whatever else speaks as they do (frame_socket.h has the kinds).
//
//   auto socket = open_frame_socket(kernel, FrameSocketKind::kStream, "/run/vm0.sock");
//   auto link = SocketLink::create(kernel, std::move(*socket), {.tell = log_it});
//
// A socket that listens serves one guest after another: who comes while one is there is turned
// away, but for packets, where the newest counts: User Mode Linux that reboots executes itself anew
// and keeps the connection of before open. Flows know nothing of it, so that a monitor that
// connects again finds them. Nobody there: what is written is lost, which TCP repairs.
//
// Behind its one descriptor is an epoll of its own, with the socket that listens and the one that
// frames come by. Nothing blocks: what a socket does not take waits in the channel, within bounds.
// Owns its sockets; not thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "link/frame_channel.h"
#include "link/frame_socket.h"
#include "link/link.h"
#include "sys/sys_error.h"

namespace sluice::link {

// What a person may want to know of those at the other end.
struct PeerNews {
  enum class What : std::uint8_t {
    kCame,
    kWent,        // As `end` says.
    kTurnedAway,  // There is one already.
    kNameless,    // A datagram came from a socket without a name: it cannot be answered.
    kRefused,     // It takes no datagrams, by end.error: it has gone, or we may not.
    kNotTaken,    // accept() failed with end.error.
  };
  What what = What::kCame;
  std::string address{};  // Of a datagram's sender; empty for a connection.
  ChannelEnd end{};
};

// How many are served.
enum class Guests : std::uint8_t { kOneAfterAnother, kOnlyOne };

struct SocketLinkOptions {
  Guests guests = Guests::kOneAfterAnother;  // After the only one the link is gone.
  std::function<void(const PeerNews&)> tell{};
};

class SocketLink final : public Link {
 public:
  // The kernel is not owned.
  [[nodiscard]] static std::expected<std::unique_ptr<SocketLink>, sys::SysError> create(
      sys::Kernel& kernel, FrameSocket socket, SocketLinkOptions options);

  // Every frame leaves whole: the other end does nothing for us.
  [[nodiscard]] wire::LinkFeatures features() const override { return {}; }
  [[nodiscard]] std::span<const int> descriptors() const override { return {&poll_fd_, 1}; }
  [[nodiscard]] Burst read_burst(Depth depth) override;
  [[nodiscard]] std::size_t write(const wire::FrameBatch& batch) override;
  // While nobody is there, nothing is worth to be sent.
  [[nodiscard]] bool has_room() const override {
    return peer_.valid() && channel_->waiting() < kRoomBelow;
  }

 private:
  // A peek is as much again (driver/io/tcp_io.h).
  static constexpr std::size_t kRoomBelow = 256 * 1024;

  enum class Watched : std::uint8_t { kListener, kPeer };

  SocketLink(sys::Kernel& kernel, sys::KernelFd poll, std::unique_ptr<FrameChannel> channel,
             SocketLinkOptions options);
  [[nodiscard]] int control(int operation, int fd, std::uint32_t events, Watched watched);
  [[nodiscard]] std::expected<void, sys::SysError> attach(sys::KernelFd socket);
  void look_at_events();
  void accept_some();
  void keep_spare();
  [[nodiscard]] bool read_peer();
  void drop_peer(const ChannelEnd& end);
  void end_peer(const ChannelEnd& end);
  void update_interest();
  void tell(const PeerNews& news) const {
    if (options_.tell) options_.tell(news);
  }

  sys::Kernel& kernel_;
  sys::KernelFd poll_;
  int poll_fd_;  // The same, as descriptors() shows it.
  std::unique_ptr<FrameChannel> channel_;
  SocketLinkOptions options_;
  sys::KernelFd listener_;  // Invalid where frames come by the socket that we were given.
  sys::KernelFd peer_;      // Invalid while nobody is there.
  sys::KernelFd spare_;     // Given up for a guest where flows have taken all other descriptors.
  std::vector<wire::FrameIn> frames_;
  bool newest_counts_ = false;
  bool wants_room_ = false;  // Something waits until the peer's socket takes it.
  bool gone_ = false;
  bool told_turned_away_ = false;  // Once for each guest that is served.
  bool told_nameless_ = false;
};

}  // namespace sluice::link
