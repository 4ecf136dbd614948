#include "app/compat/passt_draft.h"

#include <fmt/core.h>

#include <utility>

namespace sluice::app {
namespace {

// RFC 4632: by the class of old, where nobody says how long it is.
[[nodiscard]] std::uint8_t class_of(const wire::IpAddress& address) {
  const std::uint32_t first = address.v4_value() >> 24;
  if (first < 128) return 8;
  return first < 192 ? 16 : 24;
}

// "10.0.2.0" with 24 bits, as Podman's manual has it: the network in the place of a guest's
// address.
[[nodiscard]] wire::IpAddress host_of(PasstDraft& draft, const wire::IpAddress& given,
                                      std::uint8_t bits) {
  constexpr std::uint8_t kLongest = 24;
  constexpr std::uint32_t kUsual = 15;
  if (bits > kLongest || given != flow::GuestNetwork::subnet(given, bits).address) return given;
  const auto chosen = wire::IpAddress::v4(given.v4_value() + kUsual);
  draft.differs(fmt::format("the guest's address is {}, as {} is its network's",
                            wire::to_string(chosen), wire::to_string(given)));
  return chosen;
}

void describe_network(const PasstDraft& draft, flow::GuestNetwork& network) {
  network.services = draft.services;
  if (draft.gateway_mac) network.gateway_mac = *draft.gateway_mac;
  if (draft.guest_mac) network.guest_mac = *draft.guest_mac;
  network.other_resolvers = draft.resolvers;
  if (draft.dns_forward.v4) network.dns_v4 = *draft.dns_forward.v4;
  if (draft.dns_forward.v6) network.dns_v6 = *draft.dns_forward.v6;
  if (draft.search) {
    network.search_domains = *draft.search;
    if (draft.search->empty()) network.services.tells_search_domains = false;
  }
  network.loopback_v4 = draft.loopback.v4;
  network.loopback_v6 = draft.loopback.v6;
  network.host_name = draft.host_name;
  network.full_name = draft.full_name;
}

// Those of UDP follow those of TCP, as far as there is room for them, where they are not named.
[[nodiscard]] std::vector<policy::PortMap> published(PasstDraft& draft) {
  std::vector<policy::PortMap> maps = draft.tcp_ports;
  if (draft.udp_given) {
    maps.insert(maps.end(), draft.udp_ports.begin(), draft.udp_ports.end());
  } else {
    for (policy::PortMap map : draft.tcp_ports) {
      map.protocol = policy::Protocol::kUdp;
      map.guest_first = map.host_first;
      map.if_taken = policy::IfTaken::kLeaveOut;
      maps.push_back(std::move(map));
    }
  }
  for (policy::PortMap& map : maps) map.freebind = draft.freebind;
  return maps;
}

[[nodiscard]] bool wanted_if_free(const policy::PortMap& map) {
  return map.if_taken == policy::IfTaken::kLeaveOut;
}

[[nodiscard]] std::expected<void, Mistake> check_ports(const std::vector<policy::PortMap>& maps,
                                                       const flow::GuestNetwork& network) {
  for (std::size_t i = 0; i < maps.size(); ++i) {
    const policy::PortMap& map = maps[i];
    const std::string_view option =
        map.protocol == policy::Protocol::kTcp ? "--tcp-ports" : "--udp-ports";
    if (map.address && !(map.address->is_v4() ? network.ipv4 : network.ipv6)) {
      return fail("{}: '{}' is of a family that is switched off", option, policy::to_string(map));
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (!collide(map, maps[j]) || wanted_if_free(map) || wanted_if_free(maps[j])) continue;
      return fail("{}: '{}' needs a port of the host that '{}' has", option, policy::to_string(map),
                  policy::to_string(maps[j]));
    }
  }
  return {};
}

// What stands for the host is open, also in a range that is refused otherwise: Podman's is of
// 169.254.0.0/16.
void open_mapped(const char* option, const PasstAddresses& mapped, policy::EgressDraft& policy) {
  for (const auto& address : {mapped.v4, mapped.v6}) {
    if (!address) continue;
    const std::uint8_t whole = address->is_v4() ? 32 : 128;
    policy.rules.push_back(
        {.target = {.subject = wire::Prefix{*address, whole}},
         .rule = {.id = option, .effect = policy::Effect::kAllow, .source = option}});
  }
}

}  // namespace

void add_address_words(PasstDraft& draft) {
  if (draft.guest.v4) {
    const std::uint8_t bits = draft.netmask.value_or(class_of(*draft.guest.v4));
    const wire::IpAddress host = host_of(draft, *draft.guest.v4, bits);
    draft.value(OptionId::kAddress, fmt::format("{}/{}", wire::to_string(host), bits));
  }
  if (draft.guest.v6) {
    draft.value(OptionId::kAddress, fmt::format("{}/64", wire::to_string(*draft.guest.v6)));
  }
}

std::expected<void, Mistake> complete_guest(PasstDraft& draft, GuestOptions& guest) {
  describe_network(draft, guest.network);
  // Where we answer questions is not to move with the network around it.
  const auto is_inside = [&](const std::optional<wire::IpAddress>& address) {
    return address && guest.network.on_subnet(*address);
  };
  guest.chosen_v4 = guest.chosen_v4 || is_inside(draft.dns_forward.v4);
  guest.chosen_v6 = guest.chosen_v6 || is_inside(draft.dns_forward.v6);
  // All of the host is within reach, and its loopback by the gateway.
  guest.host_addresses = true;
  guest.network.gateway_leads_to_loopback = draft.map_gateway;
  guest.host_loopback = draft.map_gateway || draft.loopback.v4 || draft.loopback.v6;
  guest.outbound = draft.outbound;
  for (const wire::IpAddress& resolver : draft.dns_host) {
    guest.resolvers.push_back({resolver, wire::Port{53}});
  }
  guest.publish = published(draft);
  guest.follow = draft.follow;
  for (serve::FollowedPorts& one : guest.follow) one.like.freebind = draft.freebind;
  if (auto ok = check_ports(guest.publish, guest.network); !ok) return ok;
  open_mapped("--map-guest-addr", draft.alias, guest.policy);
  open_mapped("--map-host-loopback", draft.loopback, guest.policy);
  draft.done.host_alias_v4 = draft.alias.v4;
  draft.done.host_alias_v6 = draft.alias.v6;
  if (!draft.guest.v4 && guest.network.ipv4) {
    draft.differs(fmt::format("the guest's address is {}, not the host's; --address sets another",
                              wire::to_string(guest.network.guest_v4)));
  }
  draft.differs("link-local addresses, and those where clouds keep credentials, are refused");
  return {};
}

}  // namespace sluice::app
