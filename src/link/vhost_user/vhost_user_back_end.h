// A virtual machine's network by vhost-user: its frames lie in memory that its front-end (QEMU,
// User Mode Linux, DPDK, …) shares with us, and the two tell each other by descriptors. Serves one
// front-end after another; what a front-end or its guest does wrong ends that session or that
// queue and is told, and its links go on.
//
// It has a link for each worker (NetQueues), which may be used by their threads at once. Front-ends
// and their messages are the first one's, in its turns.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
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
  std::size_t workers = 1;  // At most; no more than pairs of queues.
  bool one_off = false;     // The links are gone with the first front-end.
  // What whoever runs the guest should know, for a log; from any thread.
  NetQueues::Tell tell;
  NetQueues::Tell note;  // What may be of use to who looks for something.
};

class VhostUserBackEnd final : private NetQueues::Kicks {
 public:
  // The kernel is not owned.
  [[nodiscard]] static std::expected<std::unique_ptr<VhostUserBackEnd>, sys::SysError> create(
      sys::Kernel& kernel, std::unique_ptr<FrontEnds> front_ends, VhostUserOptions options);
  VhostUserBackEnd(const VhostUserBackEnd&) = delete;
  VhostUserBackEnd& operator=(const VhostUserBackEnd&) = delete;
  ~VhostUserBackEnd();

  [[nodiscard]] std::size_t workers() const { return seats_.size(); }
  // Of one worker, made once. It is gone before this is.
  [[nodiscard]] std::unique_ptr<Link> link(std::size_t worker);

 private:
  friend class VhostUserLink;

  // Of one front-end.
  struct Peer {
    Peer(sys::KernelFd socket, const VhostOffer& offer, VhostDevice& device)
        : connection(std::move(socket)), session(offer, device) {}
    VhostConnection connection;
    VhostSession session;
  };
  // What one worker's link watches.
  struct Seat {
    sys::EventLoop loop;
    int fd = -1;         // The loop's, as descriptors() shows it.
    sys::KernelFd more;  // An eventfd; readable while there is more to be read without a kick.
    sys::KernelFd call;  // An eventfd by which other threads wake this one; never read.
    bool awake = false;  // `more` is readable.
  };
  [[nodiscard]] static std::expected<Seat, sys::SysError> open_seat(sys::Kernel& kernel);

  VhostUserBackEnd(sys::Kernel& kernel, std::unique_ptr<FrontEnds> front_ends,
                   VhostUserOptions options, std::deque<Seat> seats);

  [[nodiscard]] bool watch(std::size_t worker, std::size_t ring, int fd) override;
  void unwatch(std::size_t worker, int fd) override;
  void wake(std::size_t worker) override;

  // For a worker's link, in its turn.
  void take_events(std::size_t worker);
  // Whether read_burst() is to be called again without an event.
  void set_awake(std::size_t worker, bool awake);

  void await_front_end();
  void on_front_end();
  void on_messages();
  void end_session(const std::string& why);

  sys::Kernel* kernel_;
  std::unique_ptr<FrontEnds> front_ends_;
  VhostUserOptions options_;
  std::array<std::uint8_t, virtio::kNetConfigSize> config_;
  std::deque<Seat> seats_;
  std::atomic<bool> gone_{false};
  NetQueues queues_;
  std::optional<Peer> peer_;
};

}  // namespace sluice::link
