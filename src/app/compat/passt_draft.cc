#include "app/compat/passt_draft.h"

#include <fmt/core.h>

#include <utility>
#include <variant>

namespace sluice::app {
namespace {

// RFC 4632: by the class of old, where nobody says how long it is.
[[nodiscard]] std::uint8_t class_of(const wire::IpAddress& address) {
  const std::uint32_t first = address.v4_value() >> 24;
  if (first < 128) return 8;
  return first < 192 ? 16 : 24;
}

void add_words(PasstDraft& draft) {
  if (draft.guest.v4) {
    const std::uint8_t bits = draft.netmask.value_or(class_of(*draft.guest.v4));
    draft.value(OptionId::kAddress, fmt::format("{}/{}", wire::to_string(*draft.guest.v4), bits));
  }
  if (draft.guest.v6) {
    draft.value(OptionId::kAddress, fmt::format("{}/64", wire::to_string(*draft.guest.v6)));
  }
  // A socket that was passed is one guest's.
  if (draft.raw.has(OptionId::kFd)) {
    if (!draft.raw.has(OptionId::kOneOff)) draft.flag(OptionId::kOneOff);
  } else {
    draft.value(draft.vhost_user ? OptionId::kVhostUser : OptionId::kSocket,
                draft.socket.value_or(""));
  }
}

void describe_network(const PasstDraft& draft, flow::GuestNetwork& network) {
  network.services = draft.services;
  if (draft.gateway_mac) network.gateway_mac = *draft.gateway_mac;
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
      map.if_free = true;
      maps.push_back(std::move(map));
    }
  }
  for (policy::PortMap& map : maps) map.freebind = draft.freebind;
  return maps;
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
      if (map.if_free || maps[j].if_free || !collide(map, maps[j])) continue;
      return fail("{}: '{}' needs a port of the host that '{}' has", option, policy::to_string(map),
                  policy::to_string(maps[j]));
    }
  }
  return {};
}

}  // namespace

std::expected<PasstOptions, Mistake> finish_passt_options(PasstDraft draft) {
  add_words(draft);
  auto vm = read_vm_options(draft.raw);
  if (!vm) return std::unexpected(std::move(vm.error()));
  if (const auto* const given = std::get_if<serve::MachineDescriptor>(&vm->machine.link);
      given != nullptr && draft.vhost_user) {
    vm->machine.link =
        serve::MachineVhostUser{.role = serve::MachineVhostUser::Role::kGiven, .fd = given->fd};
    // As at a socket of ours.
    if (!draft.raw.has(OptionId::kMtu)) vm->network.mtu = kPacketMtu;
  }
  describe_network(draft, vm->network);
  // passt leads to all of the host, and to its loopback by the gateway.
  vm->host_addresses = true;
  vm->host_loopback = draft.map_gateway || draft.loopback.v4 || draft.loopback.v6;
  vm->outbound = draft.outbound;
  for (const wire::IpAddress& resolver : draft.dns_host) {
    vm->resolvers.push_back({resolver, wire::Port{53}});
  }
  vm->publish = published(draft);
  if (auto ok = check_ports(vm->publish, vm->network); !ok) {
    return std::unexpected(std::move(ok.error()));
  }
  PasstOptions done = std::move(draft.done);
  done.host_alias_v4 = draft.alias.v4;
  done.host_alias_v6 = draft.alias.v6;
  if (!draft.guest.v4 && vm->network.ipv4) {
    done.differences.push_back(
        fmt::format("the guest's address is {}, not the host's; --address sets another",
                    wire::to_string(vm->network.guest_v4)));
  }
  done.vm = std::move(*vm);
  return done;
}

}  // namespace sluice::app
