// Listening sockets that somebody opened before us: systemd (LISTEN_FDS, sd_listen_fds(3)), or an
// older process of ours that hands over (upgrade.h). What the environment claims is checked
// against the descriptors themselves.
#pragma once

#include <cstddef>
#include <expected>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "forward/listen/listener_key.h"
#include "sys/kernel.h"

namespace sluice::forward {

// A socket of systemd's; held open as long as we run, as systemd holds it too.
struct ActivatedSocket {
  std::string name;  // LISTEN_FDNAMES; several may have the same.
  sys::KernelFd socket;
};

class InheritedSockets {
 public:
  explicit InheritedSockets(sys::Kernel& kernel) : kernel_(&kernel) {}
  // Once a process, before threads and other descriptors: takes them over and clears the
  // environment. The error is one line.
  [[nodiscard]] static std::expected<InheritedSockets, std::string> take(sys::Kernel& kernel);

  [[nodiscard]] std::span<const ActivatedSocket> activated() const { return activated_; }
  // Positions of those with this name, or of the one with this number.
  [[nodiscard]] std::vector<std::size_t> find(std::string_view name_or_number) const;

  // The sockets that an older process had for this listener, if they are what they should be.
  [[nodiscard]] std::vector<sys::KernelFd> take_over(const ListenerKey& spec);
  // Whether the older process has this port, at whatever address.
  [[nodiscard]] bool has_port(policy::Protocol protocol, wire::Port port) const;
  // Those that no rule of ours wants.
  void close_unused() { handed_.clear(); }

  [[nodiscard]] bool is_upgrade() const { return is_upgrade_; }
  // Tells the older process that we serve from now on: it accepts no more.
  void tell_ready();

 private:
  void take_activated();
  [[nodiscard]] std::expected<void, std::string> take_handed(std::string_view variable);

  sys::Kernel* kernel_;  // Not owned.
  std::vector<ActivatedSocket> activated_;
  std::multimap<std::string, sys::KernelFd, std::less<>> handed_;  // By ListenerKey::key.
  UniqueFd ready_;
  bool is_upgrade_ = false;
};

// Whether the descriptor is a socket that listens as this says.
[[nodiscard]] bool is_listener(const sys::KernelFd& socket, const ListenerKey& spec);

}  // namespace sluice::forward
