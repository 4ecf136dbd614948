// What is opened before a guest begins: what needs privileges, and what can be refused.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "driver/published_ports.h"
#include "flow/core/guest_network.h"
#include "netlink/address_watch.h"
#include "resolv/resolver_config.h"
#include "serve/metrics/metrics_server.h"
#include "serve/plan.h"
#include "serve/slirp_api/slirp_api_server.h"
#include "serve/socket_file.h"
#include "sys/signal_fd.h"

namespace sluice::serve {

struct Preparation {
  sys::SignalFd signals;                           // The guest's and SIGUSR1.
  std::optional<std::uint64_t> descriptor_limit;   // Before we raised it.
  flow::GuestNetwork network;                      // With the host's search domains.
  resolv::ResolverConfig resolvers;                // Whom the relay asks, if names are relayed.
  std::optional<netlink::AddressWatch> addresses;  // The host's; none where nobody tells them.
  driver::PublishedPorts published;
  std::vector<policy::PortMap> publish;       // What they are of.
  std::unique_ptr<MetricsServer> metrics;     // Null: nobody wants them.
  std::unique_ptr<SlirpApiServer> slirp_api;  // The same.
  SocketFile slirp_api_file;                  // Its socket's, which is removed in the end.
};

// From here on the process is one that serves: its signals wait, and a process of ours follows the
// host's resolv.conf. The error is a sentence.
[[nodiscard]] std::expected<Preparation, std::string> prepare(const ServePlan& plan,
                                                              std::span<const int> guest_signals);

// Whether sockets of the guest's network may be wanted: of published TCP ports, and of those of its
// loopback that lead to the host's. Ports may be published at any time; but where there is no fast
// path, whose agent makes these sockets, one is not started for what may never come.
[[nodiscard]] bool joins_loopback(const ServePlan& plan);

}  // namespace sluice::serve
