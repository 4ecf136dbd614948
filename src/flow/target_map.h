// Where on the host's side an address that the guest asks for leads.
#pragma once

#include <array>
#include <cstdint>

#include "flow/guest_network.h"
#include "wire/address.h"

namespace sluice::flow {

enum class TargetKind : std::uint8_t {
  kHost,         // Go there.
  kDnsRelay,     // Our own DNS service.
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
    return other(remote);
  }

  // What the guest sees as the sender of what came from `host`: loopback stands behind the gateway.
  [[nodiscard]] wire::IpAddress as_guest_sees(const wire::IpAddress& host) const {
    const bool hidden = host.is_loopback() || host.is_unspecified() || host == network_->guest_v4 ||
                        host == network_->guest_v6;
    if (!hidden) return host;
    return host.is_v4() ? network_->gateway_v4 : network_->gateway_v6;
  }

  [[nodiscard]] bool is_gateway(const wire::IpAddress& address) const {
    return address == network_->gateway_v4 || address == network_->gateway_v6 ||
           address == network_->gateway_link_local();
  }
  [[nodiscard]] bool is_dns(const wire::Endpoint& remote) const {
    return remote.port.value == 53 && network_->is_dns(remote.address);
  }

 private:
  [[nodiscard]] Target other(const wire::Endpoint& remote) const {
    if (is_gateway(remote.address)) {
      if (!host_loopback_) return {TargetKind::kRefused, {}};
      return {TargetKind::kHost, {loopback(remote.address), remote.port}};
    }
    if (network_->is_dns(remote.address)) return {TargetKind::kRefused, {}};
    if (network_->on_subnet(remote.address)) return {TargetKind::kUnreachable, {}};
    return {TargetKind::kHost, remote};
  }
  [[nodiscard]] static wire::IpAddress loopback(const wire::IpAddress& like) {
    if (like.is_v4()) return wire::IpAddress::v4(0x7f00'0001);
    std::array<std::uint8_t, 16> one{};
    one[15] = 1;
    return wire::IpAddress::v6(FixedView<16>(one));
  }

  const GuestNetwork* network_;  // Not owned.
  bool host_loopback_;
};

}  // namespace sluice::flow
