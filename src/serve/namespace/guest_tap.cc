#include "serve/namespace/guest_tap.h"

#include <memory>
#include <utility>

#include "link/tap_link.h"
#include "netns/guest_files.h"
#include "telemetry/log.h"

namespace sluice::serve {
namespace {

static_assert(link::kMaxTapQueues <= netns::kMaxLinkQueues);

[[nodiscard]] std::expected<netns::OpenedLink, sys::SetupError> open_link(
    const std::string& interface, std::size_t queues) {
  auto tap = link::open_tap(interface, {.queues = queues});
  if (!tap) return std::unexpected(tap.error());
  return netns::OpenedLink{std::move(tap->queues), tap->features.pack()};
}

}  // namespace

netns::InterfacePlan interface_of(const TapPlan& plan, const GuestSetting& setting) {
  const flow::GuestNetwork& network = setting.network;
  netns::InterfacePlan result{.interface = plan.interface,
                              .addresses = {},
                              .gateways = {},
                              .mtu = network.mtu,
                              .mac = network.guest_mac,
                              .several_queues = setting.workers > 1,
                              .configured = plan.configured};
  if (network.ipv4) {
    result.addresses.push_back({network.guest_v4, network.prefix_length_v4});
    if (plan.ipv4_default_route) result.gateways.push_back(network.gateway_v4);
  }
  if (network.ipv6) {
    result.addresses.push_back({network.guest_v6, network.prefix_length_v6});
    result.gateways.push_back(network.gateway_v6);
  }
  return result;
}

netns::LinkOpener tap_opener(const TapPlan& plan, const GuestSetting& setting) {
  return [interface = plan.interface, queues = setting.workers] {
    return open_link(interface, queues);
  };
}

std::size_t agent_channels_of(const GuestSetting& setting) {
  return setting.fast_path == policy::FastPathUse::kOff ? 0U : setting.workers;
}

std::expected<GuestEnds, sys::SetupError> await_tap(netns::PendingGuest& pending,
                                                    sys::Kernel& kernel) {
  auto opened = pending.await_link();
  for (const sys::SetupError& warning : pending.warnings()) {
    // Without it names do not work, which is worth a word to everybody.
    const bool names = warning.step.starts_with(netns::kResolvConfPath);
    telemetry::log(names ? telemetry::LogLevel::kWarn : telemetry::LogLevel::kInfo, "{}",
                   warning.describe());
  }
  if (!opened) return std::unexpected(opened.error());
  const link::TapFeatures features = link::TapFeatures::unpack(opened->cookie);
  if (!features.checksum || !features.tso4) {
    telemetry::log_info("the kernel refuses offloads on the tap; frames stay within the MTU");
  }
  // Before anybody is in a namespace that is new; of one that is not, who has the rights over its
  // network takes frames from nobody but itself.
  if (opened->queues.size() > 1) {
    if (auto done = link::forbid_more_queues(opened->queues.front()); !done) {
      return std::unexpected(done.error());
    }
  }
  GuestEnds ends;
  for (UniqueFd& queue : opened->queues) {
    ends.links.push_back(std::make_unique<link::TapLink>(kernel, std::move(queue), features));
  }
  ends.agents = pending.take_agents();
  ends.diagnostics = pending.take_diagnostics();
  return ends;
}

}  // namespace sluice::serve
