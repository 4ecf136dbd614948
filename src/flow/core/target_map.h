// Where on the host's side an address that the guest asks for leads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "dns/names/synthetic_names.h"
#include "flow/core/guest_network.h"
#include "wire/address.h"

namespace sluice::flow {

enum class TargetKind : std::uint8_t {
  kHost,         // Go there.
  kDnsRelay,     // Our own DNS service.
  kPages,        // What we tell the guest, at http://sluice.internal/.
  kRefused,      // The address is ours, and nothing listens there.
  kUnreachable,  // No such host on the guest's subnet.
};

struct Target {
  TargetKind kind = TargetKind::kHost;
  wire::Endpoint endpoint;  // Only for kHost.
};

class TargetMap {
 public:
  TargetMap(const GuestNetwork& network, bool host_loopback)
      : network_(&network), host_loopback_(host_loopback) {}

  [[nodiscard]] Target target_of(const wire::Endpoint& remote) const {
    if (is_dns(remote)) return {TargetKind::kDnsRelay, {}};
    if (is_pages(remote)) return {TargetKind::kPages, {}};
    return other(remote);
  }

  // What the guest sees as the sender of what came from `host`: an alias where one leads there, and
  // for loopback the address that stands for it.
  [[nodiscard]] wire::IpAddress as_guest_sees(const wire::IpAddress& host) const {
    const bool hidden = host.is_loopback() || host.is_unspecified() || host == network_->guest_v4 ||
                        host == network_->guest_v6;
    if (!hidden) [[likely]] {
      for (const auto& [alias, target] : network_->aliases) {
        if (target == host) return alias;
      }
      return host;
    }
    return host.is_v4() ? loopback_v4() : loopback_v6();
  }

  [[nodiscard]] std::optional<wire::Endpoint> as_guest_sees(
      const std::optional<wire::Endpoint>& host) const {
    if (!host) [[likely]]
      return host;
    return wire::Endpoint{as_guest_sees(host->address), host->port};
  }

  // Behind the gateway's address several clients may share a port number: another one, in a row
  // that comes by every unprivileged port.
  [[nodiscard]] static wire::Port next_port(wire::Port port) {
    constexpr std::uint32_t kFirst = 1024;
    return {static_cast<std::uint16_t>(kFirst + (port.value * 7919U + 1U) % (65'536U - kFirst))};
  }
  static constexpr std::uint32_t kPortTries = 64;

  // The two ends of a connection from the host's loopback, of the family that `guest` is not;
  // nothing where the guest has but one, or `guest` is not its address.
  struct Ends {
    wire::IpAddress guest;
    wire::IpAddress host;
  };
  [[nodiscard]] std::optional<Ends> in_other_family(const wire::IpAddress& guest) const {
    if (!network_->ipv4 || !network_->ipv6) return std::nullopt;
    if (guest == network_->guest_v4) return Ends{network_->guest_v6, loopback_v6()};
    if (guest == network_->guest_v6) return Ends{network_->guest_v4, loopback_v4()};
    return std::nullopt;
  }

  [[nodiscard]] const GuestNetwork& network() const { return *network_; }
  // An address of the guest's, not of somebody behind it.
  [[nodiscard]] bool is_guest(const wire::IpAddress& address) const {
    return address == network_->guest_v4 || address == network_->guest_v6;
  }
  // The gateway, unless another address was chosen for it.
  [[nodiscard]] bool stands_for_loopback(const wire::IpAddress& address) const {
    const auto& chosen = chosen_for_loopback(address.family());
    return chosen ? address == *chosen : is_gateway(address);
  }
  // Its loopback or, by an alias, another address of its own.
  [[nodiscard]] bool stands_for_host(const wire::IpAddress& address) const {
    return stands_for_loopback(address) ||
           std::ranges::any_of(network_->aliases,
                               [&](const auto& alias) { return alias.first == address; });
  }
  [[nodiscard]] bool is_gateway(const wire::IpAddress& address) const {
    return address == network_->gateway_v4 || address == network_->gateway_v6 ||
           (address.is_link_local() && address == network_->gateway_link_local());
  }
  // Ours, or anybody's where all DNS ends in our relay.
  [[nodiscard]] bool is_dns(const wire::Endpoint& remote) const {
    return remote.port.value == 53 && (intercepts_dns_ || network_->is_dns(remote.address));
  }
  [[nodiscard]] bool intercepts(const wire::Endpoint& remote) const {
    return intercepts_dns_ && remote.port.value == 53;
  }
  // An address that stands for a name, where names decide.
  [[nodiscard]] bool stands_for_name(const wire::IpAddress& address) const {
    return names_decide_ && dns::SyntheticNames::is_synthetic(address);
  }
  void set_names_decide(bool decide) { names_decide_ = decide; }
  // Who raised an error about a flow to `remote`, as the guest may see it: a name's address for all
  // that is behind it.
  [[nodiscard]] wire::IpAddress error_source(const wire::IpAddress& from,
                                             const wire::IpAddress& remote) const {
    if (from.is_unspecified()) return from;
    return stands_for_name(remote) ? remote : as_guest_sees(from);
  }
  [[nodiscard]] bool is_pages(const wire::Endpoint& remote) const {
    return has_pages_ && remote.port.value == 80 && network_->is_dns(remote.address);
  }
  void set_has_pages(bool has) { has_pages_ = has; }
  void set_intercepts_dns(bool intercepts) { intercepts_dns_ = intercepts; }

 private:
  [[nodiscard]] const std::optional<wire::IpAddress>& chosen_for_loopback(
      wire::IpFamily family) const {
    return family == wire::IpFamily::kV4 ? network_->loopback_v4 : network_->loopback_v6;
  }
  [[nodiscard]] bool leads_to_loopback(const wire::IpAddress& address) const {
    const bool open =
        network_->gateway_leads_to_loopback || chosen_for_loopback(address.family()).has_value();
    return open && stands_for_loopback(address);
  }
  [[nodiscard]] Target other(const wire::Endpoint& remote) const {
    if (host_loopback_ && leads_to_loopback(remote.address)) {
      return {TargetKind::kHost, {wire::IpAddress::loopback(remote.address.family()), remote.port}};
    }
    if (is_gateway(remote.address) || network_->is_dns(remote.address)) {
      return {TargetKind::kRefused, {}};
    }
    for (const auto& [alias, target] : network_->aliases) {
      if (alias == remote.address) return {TargetKind::kHost, {target, remote.port}};
    }
    if (network_->on_subnet(remote.address)) return {TargetKind::kUnreachable, {}};
    return {TargetKind::kHost, remote};
  }
  [[nodiscard]] wire::IpAddress loopback_v4() const {
    return network_->loopback_v4.value_or(network_->gateway_v4);
  }
  [[nodiscard]] wire::IpAddress loopback_v6() const {
    return network_->loopback_v6.value_or(network_->gateway_v6);
  }

  const GuestNetwork* network_;  // Not owned.
  bool host_loopback_;
  bool intercepts_dns_ = false;
  bool has_pages_ = false;
  bool names_decide_ = false;
};

}  // namespace sluice::flow
