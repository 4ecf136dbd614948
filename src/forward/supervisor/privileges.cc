#include "forward/supervisor/privileges.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "sandbox/capabilities.h"
#include "sys/sys_error.h"
#include "telemetry/log.h"

namespace sluice::forward {
namespace {

constexpr const char* kDefaultUser = "nobody";

// A socket that somebody else makes later is not known yet.
void warn_of_targets(const Plan& plan, const sandbox::Identity& identity) {
  for (const Rule& rule : plan.rules) {
    for (const Target& target : rule.targets) {
      const std::string& path = target.place.path;
      if (path.empty() || path.front() == '@' || ::access(path.c_str(), W_OK) == 0) continue;
      if (errno != EACCES) continue;
      telemetry::log_warn(
          "rule '{}': user '{}' cannot connect to {}: {}; make it writable, or choose another user "
          "with --user",
          rule.name, identity.name, path, sys::errno_text(EACCES));
    }
  }
}

[[nodiscard]] bool needs_more_than_ports(const Rule& rule) {
  const SocketPlan& socket = rule.socket;
  return socket.transparent || socket.mark || !socket.listen_device.empty() ||
         !socket.target_device.empty();
}

}  // namespace

std::expected<std::optional<sandbox::Identity>, std::string> identity_for(
    const std::string& asked) {
  if (asked.empty() && ::geteuid() != 0) return std::nullopt;
  auto identity = sandbox::find_identity(asked.empty() ? kDefaultUser : asked);
  if (!identity) {
    if (!asked.empty()) {
      return std::unexpected(
          fmt::format("--user: {}; expected NAME or NAME:GROUP of this host", identity.error()));
    }
    telemetry::log_warn("{}: we stay root; choose a user with --user", identity.error());
    return std::nullopt;
  }
  if (identity->uid == ::geteuid()) return std::nullopt;
  if (::geteuid() != 0) {
    return std::unexpected(
        fmt::format("--user: only root can become '{}'; start it as root, or without", asked));
  }
  return *identity;
}

std::expected<void, std::string> give_up_privileges(
    const std::optional<sandbox::Identity>& identity, const Plan& plan,
    const std::string& config_file) {
  if (identity) {
    const bool all = std::ranges::any_of(plan.rules, needs_more_than_ports);
    const auto changed = sandbox::change_user(
        *identity, all ? sandbox::NetworkRights::kAll : sandbox::NetworkRights::kPorts);
    if (!changed) {
      return std::unexpected(fmt::format(
          "cannot become user '{}': {}; choose another with --user, or --user=root to stay root",
          identity->name, changed.error().describe()));
    }
    warn_of_targets(plan, *identity);
    if (!config_file.empty() && ::access(config_file.c_str(), R_OK) != 0) {
      telemetry::log_warn(
          "user '{}' cannot read {}: {}; a reload will be refused until it can, or choose another "
          "user with --user",
          identity->name, config_file, sys::errno_text(errno));
    }
  }
  if (const auto done = sandbox::refuse_new_privileges(); !done) {
    return std::unexpected(done.error().describe());
  }
  return {};
}

}  // namespace sluice::forward
