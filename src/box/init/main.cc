// /init of a box's guest: one command in the host's files and network, told and heard over the
// console. Process 1: it never returns, as the kernel would panic; it ends with the machine.
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "box/guest/control_message.h"
#include "box/init/command.h"
#include "box/init/console_ports.h"
#include "box/init/host_line.h"
#include "box/init/modules.h"
#include "box/init/mounts.h"
#include "box/init/network.h"
#include "box/init/step.h"
#include "box/init/watch.h"

namespace sluice::box {
namespace {

[[noreturn]] void power_off() {
  ::sync();
  ::reboot(RB_POWER_OFF);
  while (true) ::pause();
}

// Before there is a way to the host.
[[noreturn]] void give_up(const sys::SetupError& error) {
  say_in_kernel_log(in_words(error));
  power_off();
}

Stage stage(const char* name) { return {name, nanoseconds_since_boot()}; }

// Moments of a virtual machine that was not run count as time elsewhere, so small differences stay.
void set_clock(std::uint64_t nanoseconds) {
  constexpr std::uint64_t kTolerance = 50'000'000;
  constexpr std::uint64_t kSecond = 1'000'000'000;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const std::uint64_t have =
      static_cast<std::uint64_t>(now.tv_sec) * kSecond + static_cast<std::uint64_t>(now.tv_nsec);
  const std::uint64_t apart = have > nanoseconds ? have - nanoseconds : nanoseconds - have;
  if (nanoseconds == 0 || apart < kTolerance) return;
  const timespec right{.tv_sec = static_cast<time_t>(nanoseconds / kSecond),
                       .tv_nsec = static_cast<long>(nanoseconds % kSecond)};
  ::clock_settime(CLOCK_REALTIME, &right);
}

// The command's pipes must not get the numbers of standard streams, as they would where the kernel
// found no console.
void fill_standard_streams() {
  int fd = 0;
  while (fd >= 0 && fd <= STDERR_FILENO) fd = ::open("/dev/null", O_RDWR);
  if (fd > STDERR_FILENO) ::close(fd);
}

void warn(HostLine& host, const std::vector<sys::SetupError>& warnings) {
  for (const sys::SetupError& each : warnings) host.say(Warned{each.step, each.error, each.hint});
}

Step prepare(const Setup& setup, HostLine& host) {
  set_clock(setup.clock_ns);
  if (auto done = enter_root(setup); !done) return done;
  const auto mounted = mount_system(setup);
  if (!mounted) return std::unexpected(mounted.error());
  warn(host, *mounted);
  warn(host, show_files(setup));
  if (auto done = mount_shares(setup); !done) return done;
  host.say(stage("root"));
  const auto network = set_up_network(setup.network, setup.uid == 0);
  if (!network) return std::unexpected(network.error());
  warn(host, *network);
  host.say(stage("network"));
  return {};
}

// Until the host has all and says so; or is gone, and nobody is left to wait for. Connections of
// the command are served by this kernel meanwhile.
[[noreturn]] void wait_for_end(HostLine& host) {
  while (const auto message = host.wait()) {
    if (std::holds_alternative<PowerOff>(*message)) break;
  }
  power_off();
}

[[noreturn]] void fail(HostLine& host, const Failed& failed) {
  host.say(failed);
  host.say(Exited{failed.status, 0, 0});
  wait_for_end(host);
}

[[noreturn]] void run(const Setup& setup, HostLine& host, const ConsolePorts& ports) {
  if (auto done = prepare(setup, host); !done) {
    fail(host, {kExitSetupFailed, done.error().step, done.error().error, done.error().hint});
  }
  auto command = start_command(setup);
  if (!command) fail(host, command.error());
  host.say(stage("command"));
  host.say(Started{});
  Watch watch(*command, host, ports);
  const Exited exited = watch.run();
  ::sync();  // Shares that the command wrote to.
  host.say(exited);
  if (watch.power_off()) power_off();
  wait_for_end(host);
}

void set_up_process() {
  ::setsid();  // The command's terminal becomes this session's.
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  (void)!::chdir("/");
  ::setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
}

[[noreturn]] void main_of_guest() {
  std::vector<Stage> stages;
  set_up_process();
  if (auto done = mount_early(); !done) give_up(done.error());
  fill_standard_streams();
  stages.push_back(stage("kernel"));
  if (auto done = load_modules("/modules"); !done) give_up(done.error());
  stages.push_back(stage("modules"));
  auto ports = open_console_ports();
  if (!ports) give_up(ports.error());
  HostLine host(std::move(ports->control));
  for (const Stage& each : stages) host.say(each);
  host.say(stage("console"));
  const auto first = host.wait();
  if (!first || !std::holds_alternative<Setup>(*first)) {
    give_up({"the host's first control message is no setup", 0, ""});
  }
  host.say(stage("setup"));
  run(std::get<Setup>(*first), host, *ports);
}

}  // namespace
}  // namespace sluice::box

int main() {
  // Somebody's shell is no place for it.
  if (::getpid() != 1) return 1;
  sluice::box::main_of_guest();
}
