// Frames as packets, nothing before them: over a SOCK_SEQPACKET connection (User Mode Linux's
// `transport=bess`), over a pair of datagram sockets, or over a datagram socket with a name, to
// which whoever sent last is the peer (vfkit, libkrun's unixgram, QEMU's `-netdev dgram`).
//
// What is shorter than an Ethernet header is no frame: vfkit and libkrun begin with the four bytes
// VFKT, so that they are known before they have something to say. Not thread-safe.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <memory>

#include "link/frame_channel.h"
#include "sys/kernel.h"

namespace sluice::link {

class PacketChannel final : public FrameChannel {
 public:
  enum class Peer : std::uint8_t {
    kConnection,  // A packet of no bytes is the end.
    kConnected,   // Of a datagram socket.
    kWhoeverSends,
  };

  // The kernel is not owned.
  PacketChannel(sys::Kernel& kernel, Peer peer);

  void attach(int fd) override;
  [[nodiscard]] Read read(std::vector<wire::FrameIn>& frames) override;
  [[nodiscard]] std::size_t write(const wire::FrameBatch& batch) override;
  bool flush() override;
  void await_peer() override;
  [[nodiscard]] std::size_t waiting() const override { return queue_.size(); }

 private:
  using Frames = std::vector<wire::FrameOut>::const_iterator;

  static constexpr std::size_t kPacketsMax = 64;
  static constexpr std::size_t kPartsEach = 2;

  struct Message {
    sockaddr_storage from;
    iovec part;
  };

  void learn(const msghdr& message, Read& result);
  void address(msghdr& message);
  [[nodiscard]] int send(std::size_t count);
  void on_refused();
  void drop_waiting();
  void disconnect();
  [[nodiscard]] std::size_t keep(const wire::FrameBatch& batch, Frames from);

  sys::Kernel* kernel_;  // Not owned.
  Peer kind_;
  int fd_ = -1;
  int refused_ = 0;    // To be told by the next read().
  bool gone_ = false;  // Nobody is at the other end of kConnected any more.
  sockaddr_storage peer_{};
  socklen_t peer_length_ = 0;  // 0: not known.
  bool awaited_ = false;       // Our socket is connected to it, by await_peer().

  std::unique_ptr<std::uint8_t[]> buffer_;  // kPacketsMax frames of kFrameMax.
  std::unique_ptr<Message[]> incoming_;
  std::unique_ptr<iovec[]> parts_;  // kPartsEach for each packet that goes out.
  std::vector<mmsghdr> messages_;
  FrameQueue queue_{kQueueMax};
};

}  // namespace sluice::link
