#include "serve/namespace/namespace_guest.h"

#include <fmt/core.h>
#include <string.h>

#include <utility>

#include "service/daemon.h"
#include "telemetry/log.h"

namespace sluice::serve {
namespace {

// Places of descriptors().
constexpr std::size_t kEnd = 0;
constexpr std::size_t kUntil = 1;

}  // namespace

std::expected<void, sys::SetupError> NamespaceGuest::begin(const GuestSetting& setting) {
  auto target = netns::open_target(plan_.target);
  if (!target) return std::unexpected(target.error());
  target_ = std::move(*target);
  auto started = netns::start_attendant({.target = target_,
                                         .network = interface_of(plan_.tap, setting),
                                         .open_link = tap_opener(plan_.tap, setting),
                                         .agent_channels = agent_channels_of(setting),
                                         .agent_hands_over = agent_hands_over(setting),
                                         .diagnostics = setting.follows_ports,
                                         .stays = plan_.stays});
  if (!started) return std::unexpected(started.error());
  pending_.emplace(std::move(*started));
  return {};
}

std::expected<GuestEnds, sys::SetupError> NamespaceGuest::await(sys::Kernel& kernel) {
  auto ends = await_tap(*pending_, kernel);
  if (!ends) return ends;
  // We would hold it ourselves.
  target_ = {};
  if (plan_.pid_file.empty()) return ends;
  auto written = service::PidFile::write(plan_.pid_file);
  if (!written) {
    return std::unexpected(sys::SetupError{fmt::format("--pid-file: write '{}'", plan_.pid_file),
                                           written.error().error, ""});
  }
  auto kept = SocketFile::keep(sys::BoundPath(""), std::move(*written));
  if (!kept) return std::unexpected(kept.error());
  pid_file_ = std::move(*kept);
  return ends;
}

std::expected<void, sys::SetupError> NamespaceGuest::start() {
  if (plan_.change_user) {
    if (auto changed = plan_.change_user(); !changed) return changed;
  }
  auto attendant = std::move(*pending_).release();
  if (!attendant) return std::unexpected(attendant.error());
  attendant_.emplace(std::move(*attendant));
  pending_.reset();
  if (plan_.ready) plan_.ready();
  return {};
}

std::vector<int> NamespaceGuest::descriptors() const {
  // An end is told again and again, once it came.
  if (exit_status_) return {-1, -1};
  return {attendant_->pidfd(), plan_.until.get()};
}

void NamespaceGuest::on_ready(std::size_t place) {
  if (place == kUntil) {
    telemetry::log_info("ending, as --exit-fd was closed");
    exit_status_ = 0;
  }
  if (place != kEnd) return;
  const auto status = attendant_->exit_code();
  if (!status) return;
  ended_ = true;
  exit_status_ = 0;
  if (*status == 0) {
    telemetry::log_info("the namespace has ended");
  } else {
    telemetry::log_warn("the process that watches the namespace was killed; ending");
  }
}

void NamespaceGuest::on_signal(const signalfd_siginfo& info) {
  telemetry::log_info("ending, as asked to by SIG{}",
                      ::sigabbrev_np(static_cast<int>(info.ssi_signo)));
  exit_status_ = 0;
}

void NamespaceGuest::on_link_gone() {
  await_end(attendant_->pidfd());
  on_ready(kEnd);
  if (exit_status_) return;
  telemetry::log_warn("somebody deleted the interface in the namespace; ending");
  exit_status_ = 0;
}

}  // namespace sluice::serve
