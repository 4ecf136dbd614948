#include "serve/namespace/tap_guest.h"

#include <string.h>

#include <memory>
#include <utility>

#include "link/tap.h"
#include "link/tap_link.h"
#include "telemetry/log.h"

namespace sluice::serve {

std::expected<void, sys::SetupError> TapGuest::begin(const GuestSetting& /*setting*/) { return {}; }

std::expected<GuestEnds, sys::SetupError> TapGuest::await(sys::Kernel& kernel) {
  const auto features = link::adopt_tap(given_.tap);
  if (!features) return std::unexpected(features.error());
  GuestEnds ends;
  ends.links.push_back(std::make_unique<link::TapLink>(kernel, std::move(given_.tap), *features));
  return ends;
}

std::expected<void, sys::SetupError> TapGuest::start() {
  if (given_.ready) given_.ready();
  return {};
}

std::vector<int> TapGuest::descriptors() const {
  // An end is told again and again, once it came.
  return {exit_status_ ? -1 : given_.until.get()};
}

void TapGuest::on_ready(std::size_t /*place*/) {
  telemetry::log_info("ending, as --exit-fd was closed");
  exit_status_ = 0;
}

void TapGuest::on_signal(const signalfd_siginfo& info) {
  telemetry::log_info("ending, as asked to by SIG{}",
                      ::sigabbrev_np(static_cast<int>(info.ssi_signo)));
  exit_status_ = 0;
}

void TapGuest::on_link_gone() {
  telemetry::log_warn("somebody deleted the interface; ending");
  exit_status_ = 0;
}

}  // namespace sluice::serve
