#include "app/compat/passt_command.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include "app/compat/passt_options.h"
#include "app/guest/guest_plan.h"
#include "base/unique_fd.h"
#include "host/udp_socket.h"
#include "sandbox/identity.h"
#include "serve/machine_guest.h"
#include "serve/server.h"
#include "service/daemon.h"
#include "sys/kernel.h"
#include "sys/unix_socket.h"
#include "telemetry/log.h"

namespace sluice::app {
namespace {

constexpr int kFailed = 1;  // As passt, whatever it was.

// The first of passt's own places where nobody listens.
[[nodiscard]] std::string free_socket() {
  constexpr int kPlaces = 64;
  for (int i = 1; i <= kPlaces; ++i) {
    std::string path = fmt::format("/tmp/passt_{}.socket", i);
    if (!sys::somebody_listens(sys::real_kernel(), path)) return path;
  }
  return {};
}

[[nodiscard]] bool fail_to_start(std::string_view what) {
  telemetry::log_error("{}", what);
  return false;
}

// What must be opened before we become somebody else, and stay open.
class PasstFiles {
 public:
  [[nodiscard]] bool open(const PasstOptions& options) {
    if (!options.pid_file.empty()) {
      pid_ = UniqueFd(
          ::open(options.pid_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
      if (!pid_.valid()) {
        return fail_to_start(
            fmt::format("--pid: cannot write '{}': {}", options.pid_file, sys::errno_text(errno)));
      }
    }
    if (!options.log_file.empty()) {
      log_ =
          UniqueFd(::open(options.log_file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
      if (!log_.valid()) {
        return fail_to_start(fmt::format("--log-file: cannot write '{}': {}", options.log_file,
                                         sys::errno_text(errno)));
      }
      telemetry::set_log_descriptor(log_.get());
      telemetry::set_log_bound(options.log_size);
    } else if (!options.foreground) {
      auto system_log = sys::connect_datagram(sys::real_kernel(), "/dev/log");
      if (system_log) system_log_ = std::move(*system_log);
    }
    return true;
  }

  // All is up: from here on messages go to the system's log, if to no file, and whoever waits for
  // us may go on.
  void settle(const PasstOptions& options, std::optional<service::Detachment>& detachment) {
    if (pid_.valid()) {
      const std::string text = fmt::format("{}\n", ::getpid());
      if (::write(pid_.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
        telemetry::log_warn("--pid: cannot write '{}': {}", options.pid_file,
                            sys::errno_text(errno));
      }
      pid_.reset();
    }
    if (system_log_.valid()) telemetry::set_log_descriptor(system_log_.get());
    if (detachment) detachment->detached();
    detachment.reset();
  }

 private:
  UniqueFd pid_;
  // For as long as the process lives, one of them.
  UniqueFd log_;
  sys::KernelFd system_log_;
};

// As passt: root becomes nobody, if nothing else is said.
[[nodiscard]] bool become_user(const std::string& wanted) {
  if (wanted.empty() && ::geteuid() != 0) return true;
  const auto identity = sandbox::find_identity(wanted.empty() ? "nobody" : wanted);
  if (!identity) return fail_to_start(fmt::format("--runas: {}", identity.error()));
  const auto changed = sandbox::change_user(*identity, sandbox::NetworkRights::kPorts);
  if (!changed) return fail_to_start(changed.error().describe());
  return true;
}

// The address by which the host reaches others: nothing is sent to find it.
[[nodiscard]] std::optional<wire::IpAddress> own_address(wire::IpFamily family) {
  const auto anybody = wire::parse_ip(family == wire::IpFamily::kV4 ? "192.0.2.1" : "2001:db8::1");
  auto socket = host::UdpSocket::open(sys::real_kernel(), family);
  if (!anybody || !socket || !socket->connect({*anybody, wire::Port{9}})) return std::nullopt;
  const auto local = socket->local_endpoint();
  if (!local) return std::nullopt;
  return local->address;
}

void add_aliases(const PasstOptions& options, flow::GuestNetwork& network) {
  for (const auto& alias : {options.host_alias_v4, options.host_alias_v6}) {
    if (!alias) continue;
    if (const auto own = own_address(alias->family())) {
      network.aliases.emplace_back(*alias, *own);
    } else {
      telemetry::log_warn("--map-guest-addr {}: the host has no address for it to stand for",
                          wire::to_string(*alias));
    }
  }
}

}  // namespace

std::expected<int, EarlyExit> start_passt(std::span<const char* const> words) {
  auto options = parse_passt_options(words, free_socket);
  if (!options) return std::unexpected(options.error());
  telemetry::set_log_program("passt");
  telemetry::set_log_level(options->vm.log_level);
  PasstFiles files;
  auto outputs = serve::Outputs::open(output_plan(options->vm));
  if (!outputs) {
    telemetry::log_error("{}", outputs.error());
    return kFailed;
  }
  if (!files.open(*options)) return kFailed;
  for (const std::string& difference : options->differences) {
    telemetry::log_info("differs from passt: {}", difference);
  }
  if (!become_user(options->run_as)) return kFailed;
  std::optional<service::Detachment> detachment;
  if (!options->foreground) {
    auto begun = service::Detachment::begin();
    if (!begun) {
      telemetry::log_error("cannot go to the background: {}", begun.error().describe());
      return kFailed;
    }
    detachment.emplace(std::move(*begun));
  }
  options->vm.machine.ready = [&] { files.settle(*options, detachment); };
  add_aliases(*options, options->vm.network);
  serve::MachineGuest guest(options->vm.machine);
  const int status = serve::serve(serve_plan(options->vm, network_for(options->vm).network),
                                  std::move(*outputs), guest);
  return status == 0 ? 0 : kFailed;
}

}  // namespace sluice::app
