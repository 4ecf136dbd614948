// The ports that are published, as whoever changes them sees them.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "policy/port_map.h"

namespace sluice::serve {

class PortSet {
 public:
  struct Refusal {
    std::string_view error;  // As the control socket names it.
    std::string message;
  };

  // Its ports are listened on when this returns; what was yet to be picked is in what it returns.
  [[nodiscard]] virtual std::expected<policy::PortMap, Refusal> publish(
      const policy::PortMap& map) = 0;
  // Connections that were made go on. False: it is not published.
  [[nodiscard]] virtual bool unpublish(const policy::PortMap& map) = 0;
  [[nodiscard]] virtual bool has(const policy::PortMap& map) const = 0;
  // Whether a socket that waits there on the host may be one of these.
  [[nodiscard]] virtual bool waits_at(policy::Protocol protocol,
                                      const wire::Endpoint& host) const = 0;

 protected:
  ~PortSet() = default;
};

}  // namespace sluice::serve
