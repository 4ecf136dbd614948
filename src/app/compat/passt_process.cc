#include "app/compat/passt_process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <limits>
#include <utility>

#include "host/udp_socket.h"
#include "sandbox/identity.h"
#include "sys/kernel.h"
#include "telemetry/log.h"

namespace sluice::app {
namespace {

using Step = std::expected<void, Mistake>;

// The address by which the host reaches others: nothing is sent to find it.
[[nodiscard]] std::optional<wire::IpAddress> own_address(wire::IpFamily family) {
  const auto anybody = wire::parse_ip(family == wire::IpFamily::kV4 ? "192.0.2.1" : "2001:db8::1");
  auto socket = host::UdpSocket::open(sys::real_kernel(), family);
  if (!anybody || !socket || !socket->connect({*anybody, wire::Port{9}})) return std::nullopt;
  const auto local = socket->local_endpoint();
  if (!local) return std::nullopt;
  return local->address;
}

// Root of a container may be nobody already, and has perhaps nobody else to become.
[[nodiscard]] bool is_root_of_the_host() {
  if (::geteuid() != 0) return false;
  std::ifstream map("/proc/self/uid_map");
  std::uint32_t inside = 0;
  std::uint32_t outside = 0;
  std::uint32_t count = 0;
  map >> inside >> outside >> count;
  return !map || count == std::numeric_limits<std::uint32_t>::max();
}

}  // namespace

Step PasstProcess::open_files() {
  if (!common_.pid_file.empty()) {
    pid_ =
        UniqueFd(::open(common_.pid_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!pid_.valid()) {
      return fail("--pid: cannot write '{}': {}", common_.pid_file, sys::errno_text(errno));
    }
  }
  if (!common_.log_file.empty()) {
    log_ =
        UniqueFd(::open(common_.log_file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (!log_.valid()) {
      return fail("--log-file: cannot write '{}': {}", common_.log_file, sys::errno_text(errno));
    }
    telemetry::set_log_descriptor(log_.get());
    telemetry::set_log_bound(common_.log_size);
  } else if (!common_.foreground) {
    auto system_log = sys::connect_datagram(sys::real_kernel(), "/dev/log");
    if (system_log) system_log_ = std::move(*system_log);
  }
  for (const std::string& warning : common_.warnings) telemetry::log_warn("{}", warning);
  for (const std::string& difference : common_.differences) {
    telemetry::log_info("differs from {}: {}", program_, difference);
  }
  return {};
}

Step PasstProcess::become_user() const {
  if (common_.run_as.empty() && !is_root_of_the_host()) return {};
  const auto identity = sandbox::find_identity(common_.run_as.empty() ? "nobody" : common_.run_as);
  if (!identity) return fail("--runas: {}", identity.error());
  const auto changed = sandbox::change_user(*identity, sandbox::NetworkRights::kPorts);
  if (!changed) return fail("{}", changed.error().describe());
  return {};
}

Step PasstProcess::go_to_background() {
  if (common_.foreground) return {};
  auto begun = service::Detachment::begin();
  if (!begun) return fail("cannot go to the background: {}", begun.error().describe());
  detachment_.emplace(std::move(*begun));
  return {};
}

void PasstProcess::settle() {
  if (pid_.valid()) {
    const std::string text = fmt::format("{}\n", ::getpid());
    if (::write(pid_.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      telemetry::log_warn("--pid: cannot write '{}': {}", common_.pid_file, sys::errno_text(errno));
    }
    pid_.reset();
  }
  if (system_log_.valid()) telemetry::set_log_descriptor(system_log_.get());
  if (detachment_) detachment_->detached();
  detachment_.reset();
}

void add_aliases(const PasstCommon& common, flow::GuestNetwork& network) {
  for (const auto& alias : {common.host_alias_v4, common.host_alias_v6}) {
    if (!alias) continue;
    if (const auto own = own_address(alias->family())) {
      network.aliases.emplace_back(*alias, *own);
    } else {
      telemetry::log_warn("--map-guest-addr {}: the host has no address for it to stand for",
                          wire::to_string(*alias));
    }
  }
}

}  // namespace sluice::app
