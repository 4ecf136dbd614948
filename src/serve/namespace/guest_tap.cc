#include "serve/namespace/guest_tap.h"

#include <fmt/core.h>
#include <poll.h>

#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "link/packet/offload_limits.h"
#include "link/packet/packet_link.h"
#include "link/packet/packet_socket.h"
#include "link/tap_link.h"
#include "netns/files/guest_files.h"
#include "netns/veth_pair.h"
#include "sys/sys_error.h"
#include "telemetry/log.h"

namespace sluice::serve {
namespace {

// A queue of packet sockets has two.
static_assert(2 * link::kMaxTapQueues <= netns::kMaxLinkDescriptors);

// What the cookie of a link of packet sockets says: that it is one, why there is no tap (errno),
// and whether batches of datagrams cross. That of a tap has nothing in its upper half.
struct PacketCookie {
  int no_tap = 0;
  bool udp_batches = false;

  static constexpr std::uint64_t kMark = std::uint64_t{1} << 63;

  [[nodiscard]] std::uint64_t pack() const {
    return kMark | static_cast<std::uint64_t>(no_tap) << 32 | (udp_batches ? 1U : 0U);
  }
  [[nodiscard]] static std::optional<PacketCookie> unpack(std::uint64_t cookie) {
    if ((cookie & kMark) == 0) return std::nullopt;
    return PacketCookie{.no_tap = static_cast<int>(cookie >> 32 & 0xffffU),
                        .udp_batches = (cookie & 1U) != 0};
  }
};

[[nodiscard]] std::expected<netns::OpenedLink, sys::SetupError> open_packet_link(
    const std::string& interface, std::size_t queues, int no_tap) {
  PacketCookie about{.no_tap = no_tap};
  auto opened = netns::open_by_veth_pair(
      interface, [&](std::uint32_t index) -> std::expected<netns::OpenedLink, sys::SetupError> {
        auto sockets = link::open_packet_sockets(index, queues);
        if (!sockets) return std::unexpected(sockets.error());
        about.udp_batches = sockets->udp_batches;
        return netns::OpenedLink{std::move(sockets->sockets), about.pack()};
      });
  if (!opened) return opened;
  auto limited = link::limit_offloads(interface, about.udp_batches);
  if (!limited) return std::unexpected(limited.error());
  return opened;
}

[[nodiscard]] sys::SetupError neither(const sys::SetupError& tap, const sys::SetupError& packet) {
  std::string hint = tap.hint;
  if (!packet.hint.empty()) hint += fmt::format("; or mend the other: {}", packet.hint);
  return {
      fmt::format("{}: {}, and without it: {}", tap.step, sys::errno_text(tap.error), packet.step),
      packet.error, std::move(hint)};
}

[[nodiscard]] std::expected<netns::OpenedLink, sys::SetupError> open_link(
    const std::string& interface, std::size_t queues) {
  auto tap = link::open_tap(interface, {.queues = queues});
  if (tap) return netns::OpenedLink{std::move(tap->queues), tap->features.pack()};
  if (!link::has_no_device(tap.error())) return std::unexpected(tap.error());
  auto packet = open_packet_link(interface, queues, tap.error().error);
  if (!packet) return std::unexpected(neither(tap.error(), packet.error()));
  return packet;
}

using Links = std::vector<std::unique_ptr<link::Link>>;

[[nodiscard]] std::expected<Links, sys::SetupError> packet_links(std::vector<UniqueFd> sockets,
                                                                 const PacketCookie& about,
                                                                 sys::Kernel& kernel) {
  const std::size_t queues = sockets.size() / 2;
  telemetry::log_info(
      "/dev/net/tun: {}; the guest's interface is one of a veth pair instead, "
      "served by packet sockets{}",
      sys::errno_text(about.no_tap), queues > 1 ? ", each worker's by its flows' hash" : "");
  const link::QueueRings rings = link::rings_of(queues);
  const wire::LinkFeatures features{.checksum = true, .tso = true, .uso = about.udp_batches};
  Links links;
  for (std::size_t i = 0; i < queues; ++i) {
    std::array pair{std::move(sockets[2 * i]), std::move(sockets[2 * i + 1])};
    auto made = link::PacketLink::create(kernel, std::move(pair), rings, features);
    if (!made) return std::unexpected(made.error());
    links.push_back(std::move(*made));
  }
  return links;
}

[[nodiscard]] std::expected<Links, sys::SetupError> tap_links(std::vector<UniqueFd> queues,
                                                              const link::TapFeatures& features,
                                                              sys::Kernel& kernel) {
  if (!features.checksum || !features.tso4) {
    telemetry::log_info("the kernel refuses offloads on the tap; frames stay within the MTU");
  }
  // Before anybody is in a namespace that is new; of one that is not, who has the rights over its
  // network takes frames from nobody but itself.
  if (queues.size() > 1) {
    if (auto done = link::forbid_more_queues(queues.front()); !done) {
      return std::unexpected(done.error());
    }
  }
  Links links;
  for (UniqueFd& queue : queues) {
    links.push_back(std::make_unique<link::TapLink>(kernel, std::move(queue), features));
  }
  return links;
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
                              .configured = plan.configured,
                              .loopback_up = plan.loopback_up};
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

bool agent_hands_over(const GuestSetting& setting) {
  return setting.fast_path != policy::FastPathUse::kOff;
}

std::size_t agent_channels_of(const GuestSetting& setting) {
  return agent_hands_over(setting) || setting.joins_loopback ? setting.workers : 0U;
}

void await_end(int pidfd) {
  pollfd ended{.fd = pidfd, .events = POLLIN, .revents = 0};
  (void)::poll(&ended, 1, 200);
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
  const auto packet = PacketCookie::unpack(opened->cookie);
  auto links = packet ? packet_links(std::move(opened->descriptors), *packet, kernel)
                      : tap_links(std::move(opened->descriptors),
                                  link::TapFeatures::unpack(opened->cookie), kernel);
  if (!links) return std::unexpected(links.error());
  GuestEnds ends;
  ends.links = std::move(*links);
  ends.agents = pending.take_agents();
  ends.diagnostics = pending.take_diagnostics();
  return ends;
}

}  // namespace sluice::serve
