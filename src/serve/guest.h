// Whose network we are: a command in namespaces of its own (command_guest.h), a virtual machine
// (machine_guest.h), one that we make for a command (box_guest.h), or whatever else gives links,
// ends one day, and takes signals. The server (server.h) makes these calls, in this order:
//
//   begin()        the guest sets itself up, while we go on
//   await()        blocks until it gives its links
//   start()        it may run: all that serves it is ready
//                  … the server confines itself, and turns …
//   on_ready(), on_signal()     until exit_status() is there
//   end_service()  its links are turned no more, and will go
#pragma once

#include <signal.h>
#include <sys/signalfd.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/agent.h"
#include "base/unique_fd.h"
#include "flow/core/guest_network.h"
#include "link/link.h"
#include "policy/fast_path_use.h"
#include "sys/kernel.h"
#include "sys/setup_error.h"
#include "sys/signal_fd.h"

namespace sluice::serve {

// What was prepared for the guest.
struct GuestSetting {
  const flow::GuestNetwork& network;
  const std::vector<std::string>& resolver_options;  // Of the host's resolv.conf.
  std::vector<std::string> environment{};            // Of a command: NAME=value, besides ours.
  policy::FastPathUse fast_path;
  // Sockets of its network are wanted, whatever becomes of the fast path.
  bool joins_loopback = false;
  bool follows_ports = false;  // We want to hear at which ports it waits.
  // How many workers there are for it, each in a thread of its own; one at least.
  std::uint32_t workers = 1;
  // As they were before we changed them, for what the guest starts.
  const sys::SavedSignals& signals;
  std::optional<std::uint64_t> descriptor_limit;
};

// What the guest gives.
struct GuestEnds {
  // One for each worker: it decides how many there are, at most as many as it was asked for, and
  // one at least. They are used by their workers' threads at once; what they share they lock.
  std::vector<std::unique_ptr<link::Link>> links;
  // One for each link, in that order; a worker that has none hands nothing over to the guest's
  // kernel, and gets no sockets of its network.
  std::vector<agent::GuestAgent> agents;
  // By what its kernel tells at which ports it waits (netlink/listening_ports.h); invalid where we
  // do not want to hear of it, or it cannot be told.
  UniqueFd diagnostics{};
};

class Guest {
 public:
  Guest() = default;
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;
  // Ends it where start() has not been reached.
  virtual ~Guest() = default;

  // Who speaks in what we print: "sluice run".
  [[nodiscard]] virtual std::string_view program() const = 0;
  // Those it wants to hear of by on_signal(). SIGUSR1 is ours.
  [[nodiscard]] virtual std::span<const int> signals() const = 0;

  [[nodiscard]] virtual std::expected<void, sys::SetupError> begin(const GuestSetting& setting) = 0;
  [[nodiscard]] virtual std::expected<GuestEnds, sys::SetupError> await(sys::Kernel& kernel) = 0;
  [[nodiscard]] virtual std::expected<void, sys::SetupError> start() = 0;
  // After start(), where we cannot serve it after all.
  virtual void kill() = 0;
  // In the end, also where start() failed, before the links are destroyed: whoever uses their other
  // ends in this process stops.
  virtual void end_service() {}

  // After start(). The pidfd of the one process that a confined server may still signal; negative:
  // it signals nobody.
  [[nodiscard]] virtual int signalled() const = 0;
  // Readable when there is news: then call on_ready() with its place. Places keep their meaning;
  // negative: there can be no more of this kind.
  [[nodiscard]] virtual std::vector<int> descriptors() const = 0;
  virtual void on_ready(std::size_t place) = 0;
  virtual void on_signal(const signalfd_siginfo& info) = 0;
  // It took its end of the link away.
  virtual void on_link_gone() = 0;

  // Nothing while it runs. What the shell is told: 128 + n when signal n ended it.
  [[nodiscard]] virtual std::optional<int> exit_status() const = 0;
  // Whether it may go on sending after that: then what it had sent until then is all that counts.
  [[nodiscard]] virtual bool goes_on() const = 0;
  // Why it could not run; complete once exit_status() has answered.
  [[nodiscard]] virtual const std::optional<sys::SetupError>& failure() const = 0;
};

}  // namespace sluice::serve
