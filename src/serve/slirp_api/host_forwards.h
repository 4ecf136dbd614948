// What slirp4netns' API calls "hostfwd": ports of the host that lead to the guest, by numbers. They
// are published ports like others: `sluice ctl` shows them, and may take them away. Not
// thread-safe.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "flow/core/guest_network.h"
#include "policy/port_map.h"
#include "serve/control/port_set.h"
#include "serve/slirp_api/slirp_request.h"

namespace sluice::serve {

class HostForwards {
 public:
  // References are not owned.
  HostForwards(PortSet& ports, const flow::GuestNetwork& network)
      : ports_(ports), network_(network) {}

  // Carries it out. The answer is slirp4netns' (1.2.0), byte for byte.
  [[nodiscard]] std::string answer(const std::expected<SlirpRequest, SlirpRefusal>& request);

 private:
  struct Forward {
    int id;
    AddHostForward asked;
    policy::PortMap map;
  };

  [[nodiscard]] std::string carry_out(const AddHostForward& add);
  [[nodiscard]] std::string carry_out(const ListHostForwards& list);
  [[nodiscard]] std::string carry_out(const RemoveHostForward& remove);
  // Those that somebody else has taken away.
  void forget_lost();

  PortSet& ports_;
  const flow::GuestNetwork& network_;
  std::vector<Forward> forwards_;
  int last_id_ = 0;
};

}  // namespace sluice::serve
