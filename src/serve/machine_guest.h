// A virtual machine as the guest: `sluice vm`. Its link is a socket of its monitor's, or memory
// that the monitor shares; we neither start nor end it. Not thread-safe.
#pragma once

#include <array>
#include <csignal>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "link/frame_socket.h"
#include "link/socket_link.h"
#include "link/vhost_user/vhost_user_back_end.h"
#include "serve/guest.h"
#include "serve/socket_file.h"
#include "wire/address.h"

namespace sluice::serve {

// A socket that is made there; its monitors connect, or send.
struct MachineSocketPath {
  link::FrameSocketKind kind = link::FrameSocketKind::kStream;
  std::string path{};
};
// A socket that was handed to us under this number.
struct MachineDescriptor {
  int fd = -1;
};
// Queues in the machine's memory, about which its monitor (the front-end of vhost-user) speaks with
// us by a socket.
struct MachineVhostUser {
  // Ours: who makes the socket. kGiven: it was handed to us, connected or listening.
  enum class Role : std::uint8_t { kListen, kConnect, kGiven };
  static constexpr std::uint16_t kQueuesMax = 16;

  Role role = Role::kListen;
  std::string path{};        // Of kListen and kConnect.
  int fd = -1;               // Of kGiven.
  std::uint16_t queues = 1;  // Pairs of them, at most.
};
// By what the machine's frames come: one alternative for each kind of link.
using MachineLink = std::variant<MachineSocketPath, MachineDescriptor, MachineVhostUser>;

struct MachinePlan {
  MachineLink link{};
  link::Guests guests = link::Guests::kOneAfterAnother;
  // Written once its socket is open, and removed in the end; empty: none.
  std::string pid_file{};
  // We end when this one's other side is closed, or writes. Not owned; negative: nobody says so.
  int until = -1;
  // Called once, when all that serves it is ready and before we are confined; may be empty.
  std::function<void()> ready{};
};

class MachineGuest final : public Guest {
 public:
  explicit MachineGuest(MachinePlan plan) : plan_(std::move(plan)) {}

  [[nodiscard]] std::string_view program() const override { return "sluice vm"; }
  [[nodiscard]] std::span<const int> signals() const override { return kSignals; }
  // Its socket is open when this returns: monitors may connect from then on.
  [[nodiscard]] std::expected<void, sys::SetupError> begin(const GuestSetting& setting) override;
  [[nodiscard]] std::expected<GuestEnds, sys::SetupError> await(sys::Kernel& kernel) override;
  [[nodiscard]] std::expected<void, sys::SetupError> start() override;
  void kill() override {}

  [[nodiscard]] int signalled() const override { return -1; }
  [[nodiscard]] std::vector<int> descriptors() const override;
  void on_ready(std::size_t place) override;
  void on_signal(const signalfd_siginfo& info) override;
  void on_link_gone() override;

  [[nodiscard]] std::optional<int> exit_status() const override { return exit_status_; }
  [[nodiscard]] bool goes_on() const override { return true; }
  [[nodiscard]] const std::optional<sys::SetupError>& failure() const override { return failure_; }

 private:
  static constexpr std::array kSignals{SIGTERM, SIGINT, SIGHUP};

  using Links = std::vector<std::unique_ptr<link::Link>>;
  // The socket, or who is to get one.
  [[nodiscard]] std::expected<void, sys::SetupError> open_socket(sys::Kernel& kernel);
  [[nodiscard]] std::expected<void, sys::SetupError> keep_files();
  [[nodiscard]] std::expected<Links, sys::SysError> open_links(sys::Kernel& kernel);
  // One for each worker, as far as there are pairs of queues.
  [[nodiscard]] std::expected<Links, sys::SysError> open_queues(sys::Kernel& kernel,
                                                                const MachineVhostUser& vhost_user);

  MachinePlan plan_;
  // What a machine is told of its interface where we are its device.
  wire::MacAddress mac_;
  std::uint16_t mtu_ = 0;
  std::uint32_t workers_ = 1;
  // From begin() to await(), one of these.
  std::optional<link::FrameSocket> socket_;
  std::unique_ptr<link::FrontEnds> front_ends_;
  // Outlives its links, which await() gives.
  std::unique_ptr<link::VhostUserBackEnd> back_end_;
  SocketFile file_;
  std::optional<int> exit_status_;
  std::optional<sys::SetupError> failure_;  // None: there is nothing that could not run.
};

}  // namespace sluice::serve
