// Ports that follow the guest ("auto"): as long as one of its processes waits for clients at a
// port, the host's port of that number leads there. What waits where is told from outside; which
// ports are to come and go follows from it. Not thread-safe.
//
// Who waits at the guest's loopback is reached by clients of the host's loopback only
// (docs/loopback.md): its port is published at the host's loopback address of that family, and
// nowhere else, unless somebody waits at all of the guest's addresses, too.
//
// The guest decides which ports these are, within bounds: not those of DHCP, which every guest has;
// not the ephemeral ones of UDP, from which it asks others; nor more than kPortsMax at a time. A
// port that the host cannot give is left out until the guest gives it up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "flow/core/guest_network.h"
#include "policy/loopback_use.h"
#include "policy/port_map.h"
#include "serve/control/port_set.h"
#include "serve/ports/followed_ports.h"
#include "serve/ports/ports_observer.h"

namespace sluice::serve {

class PortFollower final : public PortsObserver {
 public:
  // Each costs descriptors of ours.
  static constexpr std::size_t kPortsMax = 1024;
  // Ports that begin to be listened on in one look; the others do in the next.
  static constexpr std::size_t kNewMax = 64;

  struct Terms {
    // Of these, one for each place of the host, protocol, address and interface count.
    std::vector<FollowedPorts> ports{};
    // Who waits there at the guest's loopback are we, for the host: they lead back here.
    std::vector<policy::PortMap> loopback{};
    policy::LoopbackUse call_guest = policy::LoopbackUse::kWhereRefused;
    // ... and so are we at ports that follow the host's, as long as they do.
    std::function<bool(policy::Protocol, wire::Port)> leads_out{};
  };

  // References are not owned.
  PortFollower(PortSet& ports, const flow::GuestNetwork& network, Terms terms)
      : ports_(ports), network_(network), terms_(std::move(terms)) {}

  [[nodiscard]] bool follows(policy::Protocol protocol) const override;
  void look(policy::Protocol protocol, std::span<const wire::Endpoint> waiting) override;

 private:
  // Whose clients reach who waits. Of one port, what is everywhere comes last: it wants the places
  // of the others.
  enum class Reach : std::uint8_t { kLoopbackV4, kLoopbackV6, kEverywhere };
  using Key = std::tuple<policy::Protocol, std::uint16_t, Reach>;
  struct Followed {
    std::vector<policy::PortMap> published{};  // None: the host could not give it.
    bool asked = false;                        // The host was asked for it.
    bool waits = true;                         // There was one at the last look.
  };

  // Nothing: it is not for clients, or they cannot reach it.
  [[nodiscard]] std::optional<Reach> reach_of(policy::Protocol protocol,
                                              const wire::Endpoint& waiting) const;
  [[nodiscard]] bool is_ours(policy::Protocol protocol, wire::Port port) const;
  void note(policy::Protocol protocol, std::span<const wire::Endpoint> waiting);
  void publish(const Key& key, Followed& followed);
  void unpublish(const Followed& followed);
  // A place that is like that one; nothing where none of its clients would reach the server.
  [[nodiscard]] static std::optional<policy::PortMap> map_of(const Key& key, policy::PortMap like);

  PortSet& ports_;
  const flow::GuestNetwork& network_;
  Terms terms_;
  std::map<Key, Followed> followed_;
  bool told_of_bound_ = false;
};

}  // namespace sluice::serve
