// From where the host's side of a flow goes out, where that is not the routing table's to choose:
// an address of the host for each family, an interface, or both. What stays on this machine goes
// as ever.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "wire/address.h"

namespace sluice::host {

struct Outbound {
  struct Way {
    std::optional<wire::IpAddress> address = std::nullopt;
    std::string device{};  // SO_BINDTODEVICE; empty: any.

    [[nodiscard]] bool chosen() const { return address || !device.empty(); }
    friend bool operator==(const Way&, const Way&) = default;
  };
  Way v4{};
  Way v6{};

  [[nodiscard]] const Way& of(wire::IpFamily family) const {
    return family == wire::IpFamily::kV4 ? v4 : v6;
  }
  // Nothing where `target` is reached in the ordinary way.
  [[nodiscard]] const Way* way_to(const wire::IpAddress& target) const {
    const Way& way = of(target.family());
    return way.chosen() && !target.is_loopback() ? &way : nullptr;
  }
  friend bool operator==(const Outbound&, const Outbound&) = default;
};

}  // namespace sluice::host
