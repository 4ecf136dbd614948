// What a guest's worker is asked to do, whoever the guest is: plain values, as a command line gives
// them, with defaults filled in and every value checked. Nothing here is opened, resolved or
// counted. A plan is immutable once made.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "flow/core/guest_network.h"
#include "host/outbound.h"
#include "policy/egress/egress_policy.h"
#include "policy/fast_path_use.h"
#include "policy/limits/limits.h"
#include "policy/loopback_use.h"
#include "policy/port_map.h"
#include "serve/ask/ask_plan.h"
#include "serve/policy_sources.h"
#include "serve/ports/followed_ports.h"
#include "serve/ports/host_follow.h"

namespace sluice::serve {

struct ServePlan {
  // As this host allows it. Where it has no search domains they are filled in from the host's,
  // unless names are not relayed at all.
  flow::GuestNetwork network{};

  policy::EgressDraft policy{};
  AskPlan ask{};
  PolicySources policy_sources{};
  bool audit = false;  // What it refuses is let through, and noted.
  policy::LimitOptions limits{};
  bool host_loopback = false;   // Whether the gateway's address leads to the host's loopback.
  bool host_addresses = false;  // Whether the host's own addresses are within reach.
  std::vector<wire::Prefix> nat64_prefixes{};
  std::vector<policy::PortMap> publish{};
  // Where ports follow the guest's (serve/ports/port_follower.h): protocol, address and interface.
  std::vector<FollowedPorts> follow{};
  // Ports of the guest's loopback that lead to the host's: of each map the protocol, both firsts
  // and the count. Wanted of a guest with an agent only, as is what call_guest may ask for.
  std::vector<policy::PortMap> loopback{};
  HostFollow host_follow{};  // Besides those.
  policy::LoopbackUse call_guest = policy::LoopbackUse::kWhereRefused;

  host::Outbound outbound{};
  // Whom to ask for names; none: whom the host's resolv.conf names, as it changes.
  std::vector<wire::Endpoint> resolvers{};

  policy::FastPathUse fast_path = policy::FastPathUse::kAuto;

  // Where to tell what was counted; nothing: nowhere.
  std::optional<wire::Endpoint> metrics{};

  // The file of slirp4netns' API socket; empty: there is none.
  std::string slirp_api{};

  // How many threads serve the guest, where its link has queues for so many; one at least.
  std::uint32_t workers = 1;
};

}  // namespace sluice::serve
