// The command while it runs, until nothing of it is left and all that it wrote is with the host.
#pragma once

#include <signal.h>

#include <cstdint>
#include <optional>

#include "base/unique_fd.h"
#include "box/init/command.h"
#include "box/init/console_ports.h"
#include "box/init/host_line.h"
#include "box/init/relay.h"

namespace sluice::box {

class Watch {
 public:
  // All borrowed. SIGCHLD must be blocked.
  Watch(RunningCommand& command, HostLine& host, const ConsolePorts& ports);

  // Until the command has ended, every other process was killed, and their output is sent. Returns
  // what there is to say of it. Ends early when the host is lost, or wants the machine off.
  [[nodiscard]] Exited run();

  [[nodiscard]] bool power_off() const { return power_off_; }

 private:
  void wait_for_something();
  void turn_relays();
  void hear_host();
  void on_message(const HostMessage& message);
  void signal_command(int number) const;
  void end_input();
  void close_output(std::uint8_t port);
  void tell_ends();
  void hear_parent();
  void note_end(int status);
  void reap();
  void kill_everyone();

  RunningCommand* command_;
  HostLine* host_;
  const ConsolePorts* ports_;
  UniqueFd children_;  // A signalfd.
  Relay input_;
  Relay output_;
  std::optional<Relay> error_;
  std::optional<std::uint8_t> status_;
  bool output_end_told_ = false;
  bool error_end_told_ = false;
  bool power_off_ = false;
};

}  // namespace sluice::box
