// A virtual machine's network by vhost-user: its frames lie in memory that its front-end (QEMU,
// User Mode Linux, DPDK, …) shares with us, and the two tell each other by descriptors. Serves one
// front-end after another; what a front-end or its guest does wrong ends that session or that
// queue and is told, and its links go on.
//
// It has a link for each worker; front-ends and their messages are the first one's.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "link/vhost_user/connection.h"
#include "link/vhost_user/net_back_end.h"
#include "link/vhost_user/session.h"
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

class VhostUserBackEnd final : public NetBackEnd {
 public:
  // The kernel is not owned.
  [[nodiscard]] static std::expected<std::unique_ptr<VhostUserBackEnd>, sys::SysError> create(
      sys::Kernel& kernel, std::unique_ptr<FrontEnds> front_ends, VhostUserOptions options);
  ~VhostUserBackEnd() override;

 private:
  // Of one front-end.
  struct Peer {
    Peer(sys::KernelFd socket, const VhostOffer& offer, VhostDevice& device)
        : connection(std::move(socket)), session(offer, device) {}
    VhostConnection connection;
    VhostSession session;
  };

  VhostUserBackEnd(sys::Kernel& kernel, std::unique_ptr<FrontEnds> front_ends,
                   VhostUserOptions options, std::deque<Seat> seats);

  void on_event(std::uint64_t what) override;
  void on_broken() override { end_session("its memory was cut short"); }

  void await_front_end();
  void on_front_end();
  void on_messages();
  void end_session(const std::string& why);

  std::unique_ptr<FrontEnds> front_ends_;
  VhostUserOptions options_;
  std::array<std::uint8_t, virtio::kNetConfigSize> config_;
  std::optional<Peer> peer_;
};

}  // namespace sluice::link
