#include "serve/namespace/command_guest.h"

#include <utility>

#include "serve/command_files.h"
#include "telemetry/log.h"

namespace sluice::serve {
namespace {

// Places of descriptors().
constexpr std::size_t kEnd = 0;
constexpr std::size_t kChannel = 1;

}  // namespace

std::expected<void, sys::SetupError> CommandGuest::begin(const GuestSetting& setting) {
  auto spawned =
      netns::spawn_guest({.command = plan_.command,
                          .environment = setting.environment,
                          .network = interface_of(plan_.tap, setting),
                          .open_link = tap_opener(plan_.tap, setting),
                          .files = command_files(setting.network, setting.resolver_options),
                          .hidden = plan_.hidden,
                          .user = plan_.user,
                          .pid_namespace = plan_.pid_namespace,
                          .agent_channels = agent_channels_of(setting),
                          .agent_hands_over = agent_hands_over(setting),
                          .diagnostics = setting.follows_ports,
                          .signals = setting.signals,
                          .descriptor_limit = setting.descriptor_limit});
  if (!spawned) return std::unexpected(spawned.error());
  pending_.emplace(std::move(*spawned));
  return {};
}

std::expected<GuestEnds, sys::SetupError> CommandGuest::await(sys::Kernel& kernel) {
  return await_tap(*pending_, kernel);
}

std::expected<void, sys::SetupError> CommandGuest::start() {
  if (plan_.ready) plan_.ready();
  auto child = std::move(*pending_).release();
  if (!child) return std::unexpected(child.error());
  child_.emplace(std::move(*child));
  pending_.reset();
  return {};
}

std::vector<int> CommandGuest::descriptors() const {
  // Its end is told again and again, once it came.
  return {exit_status_ ? -1 : child_->pidfd(), child_->channel_fd()};
}

void CommandGuest::on_ready(std::size_t place) {
  if (place == kEnd) exit_status_ = child_->exit_code();
  if (place == kChannel) child_->on_channel();
}

void CommandGuest::on_signal(const signalfd_siginfo& info) {
  child_->on_signal(info);
  if (info.ssi_signo == SIGCHLD && !exit_status_) exit_status_ = child_->exit_code();
}

void CommandGuest::on_link_gone() {
  if (!exit_status_) await_end(child_->pidfd());
  if (!exit_status_) exit_status_ = child_->exit_code();
  if (exit_status_) return;
  telemetry::log_warn("the command deleted its network interface; it has no network any more");
}

}  // namespace sluice::serve
