// A virtual machine's network by vhost-user: its frames lie in memory that its front-end (QEMU,
// User Mode Linux, DPDK, …) shares with us, and the two tell each other by descriptors. Serves one
// front-end after another; what a front-end or its guest does wrong ends that session or that
// queue and is told, and the link goes on.
//
// Kicks, messages and connections come and go, so that an epoll of its own is what it shows. Not
// thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "link/link.h"
#include "link/vhost_user/connection.h"
#include "link/vhost_user/net_queues.h"
#include "link/vhost_user/session.h"
#include "sys/event_loop.h"
#include "sys/kernel.h"
#include "virtio/net/frame_burst.h"

namespace sluice::link {

// Where front-ends come from: a socket that listens, or whoever connects to one for us.
class FrontEnds {
 public:
  FrontEnds() = default;
  FrontEnds(const FrontEnds&) = delete;
  FrontEnds& operator=(const FrontEnds&) = delete;
  virtual ~FrontEnds() = default;

  // Readable when take() may have one. The same for its life.
  [[nodiscard]] virtual int descriptor() const = 0;
  // A connected stream socket, non-blocking; or nothing.
  [[nodiscard]] virtual std::optional<sys::KernelFd> take() = 0;
  // The last one is gone, and another is welcome.
  virtual void expect() {}
};

// A listening socket of ours.
class ListeningFrontEnds final : public FrontEnds {
 public:
  explicit ListeningFrontEnds(sys::KernelFd socket) : socket_(std::move(socket)) {}
  [[nodiscard]] int descriptor() const override { return socket_.get(); }
  [[nodiscard]] std::optional<sys::KernelFd> take() override;

 private:
  sys::KernelFd socket_;
};

struct VhostUserOptions {
  virtio::NetDevice device;
  bool one_off = false;  // The link is gone with its first front-end.
  NetQueues::Tell tell;  // What whoever runs the guest should know, for a log.
  NetQueues::Tell note;  // What may be of use to who looks for something.
};

class VhostUserLink final : public Link, private NetQueues::Kicks {
 public:
  // The kernel is not owned.
  [[nodiscard]] static std::expected<std::unique_ptr<VhostUserLink>, sys::SysError> create(
      sys::Kernel& kernel, std::unique_ptr<FrontEnds> front_ends, VhostUserOptions options);
  ~VhostUserLink() override;

  [[nodiscard]] wire::LinkFeatures features() const override { return queues_.features(); }
  [[nodiscard]] std::span<const int> descriptors() const override { return {&fd_, 1}; }
  [[nodiscard]] Burst read_burst(Depth depth) override;
  [[nodiscard]] std::size_t write(const wire::FrameBatch& batch) override;
  [[nodiscard]] bool has_room() const override { return queues_.has_room(); }
  void flush() override;

 private:
  // Of one front-end.
  struct Peer {
    Peer(sys::KernelFd socket, const VhostOffer& offer, VhostDevice& device)
        : connection(std::move(socket)), session(offer, device) {}
    VhostConnection connection;
    VhostSession session;
  };

  // What was opened for it.
  struct Opened {
    sys::EventLoop loop;
    sys::KernelFd wake;
  };

  VhostUserLink(sys::Kernel& kernel, std::unique_ptr<FrontEnds> front_ends,
                VhostUserOptions options, Opened opened);

  [[nodiscard]] bool watch(std::size_t ring, int fd) override;
  void unwatch(int fd) override { (void)loop_.remove(fd); }

  void take_events();
  void await_front_end();
  void on_front_end();
  void on_messages();
  void end_session(const std::string& why);
  // Whether read_burst() is to be called again without an event.
  void set_awake(bool awake);

  sys::Kernel* kernel_;
  std::unique_ptr<FrontEnds> front_ends_;
  VhostUserOptions options_;
  std::array<std::uint8_t, virtio::kNetConfigSize> config_;
  sys::EventLoop loop_;
  int fd_;              // The loop's, as descriptors() shows it.
  sys::KernelFd wake_;  // An eventfd; readable while awake_.
  bool awake_ = false;
  bool gone_ = false;
  NetQueues queues_;
  std::optional<Peer> peer_;
  virtio::FrameBurst burst_;
};

}  // namespace sluice::link
