#include "app/guest/network_choice.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>

namespace sluice::app {
namespace {

using flow::GuestNetwork;
using wire::IpAddress;
using wire::Prefix;

constexpr std::uint8_t kLengthV4 = 24;
constexpr std::uint8_t kLengthV6 = 64;

// Private networks (RFC 1918), the usual one first; then those that others seldom choose.
constexpr std::array kNetworksV4{IpAddress::v4(0x0a00'0200), IpAddress::v4(0x0a00'0300),
                                 IpAddress::v4(0xc0a8'7f00), IpAddress::v4(0xac1f'7f00),
                                 IpAddress::v4(0x0ad5'7f00)};

constexpr IpAddress v6_network(std::array<std::uint8_t, 8> high) {
  std::array<std::uint8_t, 16> octets{};
  std::copy(high.begin(), high.end(), octets.begin());
  return IpAddress::v6(FixedView<16>(octets));
}
constexpr std::array kNetworksV6{v6_network({0xfd}), v6_network({0xfd, 0, 0, 0, 0, 0, 0, 2}),
                                 v6_network({0xfd, 0x73, 0x6c, 0x75, 0x69, 0x63, 0x65, 0})};

IpAddress nth_of(const IpAddress& network, std::uint8_t number) {
  std::array<std::uint8_t, 16> octets{};
  std::copy(network.octets().begin(), network.octets().end(), octets.begin());
  octets[15] = number;
  return IpAddress::v6(FixedView<16>(octets));
}

// A network of the host's that shares addresses with `own`.
std::optional<Prefix> hidden_by(const Prefix& own, const netlink::HostRoutes& routes) {
  for (const Prefix& network : routes.networks) {
    if (network.contains(own.address) || own.contains(network.address)) return network;
  }
  return std::nullopt;
}

std::optional<IpAddress> first_free(std::span<const IpAddress> networks, std::uint8_t length,
                                    const netlink::HostRoutes& routes) {
  for (const IpAddress& network : networks) {
    if (!hidden_by({network, length}, routes)) return network;
  }
  return std::nullopt;
}

void warn(const Prefix& own, const Prefix& hidden, NetworkChoice& choice) {
  choice.warnings.push_back(
      fmt::format("the guest's network {} hides {} of the host from it; --address chooses another",
                  wire::to_string(own), wire::to_string(hidden)));
}

}  // namespace

NetworkChoice choose_network(const GuestOptions& options, const netlink::HostRoutes& routes) {
  NetworkChoice choice{.network = options.network, .warnings = {}};
  GuestNetwork& network = choice.network;
  if (network.ipv4) {
    const Prefix own = GuestNetwork::subnet(network.guest_v4, network.prefix_length_v4);
    if (const auto hidden = hidden_by(own, routes)) {
      const auto free = first_free(kNetworksV4, kLengthV4, routes);
      if (options.chosen_v4 || !free) {
        warn(own, *hidden, choice);
      } else {
        network.guest_v4 = nth_of(*free, 15);
        network.gateway_v4 = nth_of(*free, 2);
        if (own.contains(network.dns_v4)) network.dns_v4 = nth_of(*free, 3);
      }
    }
    choice.ipv4_default_route = options.chosen_v4 || !network.ipv6 || !routes.default_v6 ||
                                routes.reaches(wire::IpFamily::kV4);
  }
  if (network.ipv6) {
    const Prefix own = GuestNetwork::subnet(network.guest_v6, network.prefix_length_v6);
    if (const auto hidden = hidden_by(own, routes)) {
      const auto free = first_free(kNetworksV6, kLengthV6, routes);
      if (options.chosen_v6 || !free) {
        warn(own, *hidden, choice);
      } else {
        network.guest_v6 = nth_of(*free, 0x15);
        network.gateway_v6 = nth_of(*free, 2);
        if (own.contains(network.dns_v6)) network.dns_v6 = nth_of(*free, 3);
      }
    }
  }
  return choice;
}

}  // namespace sluice::app
