#include "serve/command_guest.h"

#include <utility>

#include "link/tap_link.h"
#include "serve/command_files.h"
#include "telemetry/log.h"

namespace sluice::serve {
namespace {

// Places of descriptors().
constexpr std::size_t kEnd = 0;
constexpr std::size_t kChannel = 1;

static_assert(link::kMaxTapQueues <= netns::kMaxLinkQueues);

[[nodiscard]] netns::InterfacePlan interface_of(const CommandPlan& plan,
                                                const GuestSetting& setting) {
  const flow::GuestNetwork& network = setting.network;
  netns::InterfacePlan result{.interface = plan.interface,
                              .addresses = {},
                              .gateways = {},
                              .mtu = network.mtu,
                              .mac = network.guest_mac,
                              .several_queues = setting.workers > 1};
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

[[nodiscard]] std::expected<netns::OpenedLink, sys::SetupError> open_link(
    const std::string& interface, std::size_t queues) {
  auto tap = link::open_tap(interface, {.queues = queues});
  if (!tap) return std::unexpected(tap.error());
  return netns::OpenedLink{std::move(tap->queues), tap->features.pack()};
}

}  // namespace

std::expected<void, sys::SetupError> CommandGuest::begin(const GuestSetting& setting) {
  auto spawned = netns::spawn_guest(
      {.command = plan_.command,
       .network = interface_of(plan_, setting),
       .open_link = [&] { return open_link(plan_.interface, setting.workers); },
       .files = command_files(setting.network, setting.resolver_options),
       .hidden = plan_.hidden,
       .user = plan_.user,
       .pid_namespace = plan_.pid_namespace,
       .agent_channels = setting.fast_path == policy::FastPathUse::kOff ? 0U : setting.workers,
       .signals = setting.signals,
       .descriptor_limit = setting.descriptor_limit});
  if (!spawned) return std::unexpected(spawned.error());
  pending_.emplace(std::move(*spawned));
  return {};
}

std::expected<GuestEnds, sys::SetupError> CommandGuest::await(sys::Kernel& kernel) {
  auto opened = pending_->await_link();
  for (const sys::SetupError& warning : pending_->warnings()) {
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
  // Nobody is in the namespace yet.
  if (opened->queues.size() > 1) {
    if (auto done = link::forbid_more_queues(opened->queues.front()); !done) {
      return std::unexpected(done.error());
    }
  }
  GuestEnds ends;
  for (UniqueFd& queue : opened->queues) {
    ends.links.push_back(std::make_unique<link::TapLink>(kernel, std::move(queue), features));
  }
  ends.agents = pending_->take_agents();
  return ends;
}

std::expected<void, sys::SetupError> CommandGuest::start() {
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
  telemetry::log_warn("the command deleted its network interface; it has no network any more");
}

}  // namespace sluice::serve
