#include "app/compat/slirp4netns/slirp_command.h"

#include <fmt/core.h>
#include <net/if.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "app/attach/given_descriptor.h"
#include "app/compat/slirp4netns/slirp_options.h"
#include "app/guest/guest_plan.h"
#include "base/unique_fd.h"
#include "base/unreachable.h"
#include "serve/machine_guest.h"
#include "serve/namespace/namespace_guest.h"
#include "serve/namespace/tap_guest.h"
#include "serve/server.h"
#include "telemetry/log.h"

namespace sluice::app {
namespace {

constexpr int kFailed = 1;  // As slirp4netns, whatever it was.

struct Descriptors {
  UniqueFd ready;
  UniqueFd until;
  UniqueFd tap;
};

[[nodiscard]] std::expected<Descriptors, Mistake> take_descriptors(const SlirpOptions& options) {
  auto ready = take_given("--ready-fd", options.ready_fd);
  if (!ready) return std::unexpected(ready.error());
  auto until = take_given("--exit-fd", options.exit_fd);
  if (!until) return std::unexpected(until.error());
  auto tap = take_given("--netns-type=tapfd", options.tap_fd);
  if (!tap) return std::unexpected(tap.error());
  return Descriptors{std::move(*ready), std::move(*until), std::move(*tap)};
}

void tell_ready(UniqueFd& ready) {
  // A reader that has gone does not wait any more.
  if (ready.valid()) (void)!::write(ready.get(), "1", 1);
  ready.reset();
}

// Nobody would be told later why nothing is reached.
[[nodiscard]] bool has_interfaces(const host::Outbound& outbound) {
  for (const std::string& device : {outbound.v4.device, outbound.v6.device}) {
    if (device.empty() || ::if_nametoindex(device.c_str()) != 0) continue;
    telemetry::log_error("--outbound-addr: the host has no interface '{}'", device);
    return false;
  }
  return true;
}

[[nodiscard]] std::unique_ptr<serve::Guest> guest_of(const SlirpOptions& options,
                                                     Descriptors& descriptors) {
  const auto ready = [&descriptors] { tell_ready(descriptors.ready); };
  switch (options.target) {
    case SlirpOptions::Target::kNamespace: {
      serve::NamespacePlan plan;
      plan.target = options.names;
      plan.tap.interface = options.guest.interface;
      plan.tap.configured = options.configure;
      plan.tap.loopback_up = options.configure;
      plan.until = std::move(descriptors.until);
      plan.ready = ready;
      return std::make_unique<serve::NamespaceGuest>(std::move(plan));
    }
    case SlirpOptions::Target::kTap:
      return std::make_unique<serve::TapGuest>(
          serve::GivenTap{.tap = std::move(descriptors.tap),
                          .until = std::move(descriptors.until),
                          .ready = ready});
    case SlirpOptions::Target::kBessSocket: {
      serve::MachinePlan plan;
      plan.link = serve::MachineSocketPath{.kind = link::FrameSocketKind::kSeqpacket,
                                           .path = options.bess_socket};
      plan.until = descriptors.until.get();
      plan.ready = ready;
      return std::make_unique<serve::MachineGuest>(std::move(plan));
    }
  }
  unreachable("target outside its enum");
}

}  // namespace

std::expected<int, EarlyExit> start_slirp4netns(std::span<const char* const> words) {
  auto options = parse_slirp_options(words);
  if (!options) return std::unexpected(options.error());
  telemetry::set_log_program("slirp4netns");
  telemetry::set_log_level(options->guest.log_level);
  // Before we open any, which might get these numbers.
  auto descriptors = take_descriptors(*options);
  if (!descriptors) {
    telemetry::log_error("{}", descriptors.error().text);
    return kFailed;
  }
  for (const std::string& doubt : options->doubts) telemetry::log_warn("{}", doubt);
  if (!has_interfaces(options->guest.outbound)) return kFailed;
  auto outputs = serve::Outputs::open(output_plan(options->guest));
  if (!outputs) {
    telemetry::log_error("{}", outputs.error());
    return kFailed;
  }
  const std::unique_ptr<serve::Guest> guest = guest_of(*options, *descriptors);
  // Clients have these addresses by heart: they stay, whatever the host's networks are.
  serve::ServePlan plan = serve_plan(options->guest, options->guest.network);
  plan.slirp_api = options->api_socket;
  if (options->target == SlirpOptions::Target::kNamespace && options->configure) {
    plan.fast_path = options->guest.fast_path;
  }
  return serve::serve(plan, std::move(*outputs), *guest) == 0 ? 0 : kFailed;
}

}  // namespace sluice::app
