// What workers of one guest tell each other. Each is carried out in a turn of the one that it is
// for, in the order in which it was told.
#pragma once

#include <functional>
#include <optional>
#include <variant>
#include <vector>

#include "driver/group/asked_flow.h"
#include "driver/group/parcel.h"
#include "driver/group/seen.h"
#include "flow/core/flow_summary.h"
#include "host/tcp_socket.h"
#include "resolv/resolver_config.h"
#include "wire/address.h"

namespace sluice::driver {

class Outside;
class Worker;

// To the first: flows of another that have ended, for the report.
struct FlowsEnded {
  std::vector<flow::FlowSummary> flows;
};
// To the first besides: Seen, of questions and of first bytes.
// From the first, which listens: the client of a published port, whose flow is another's.
struct ClientAccepted {
  wire::Endpoint peer;
  wire::Endpoint guest;  // Where in the guest it leads.
  host::TcpSocket socket;
};
// To the first: a flow of another waits for an answer,
struct FlowAsks {
  AskedFlow asked;
};
// ... or does not any more.
struct AskWithdrawn {
  std::uint32_t worker = 0;
  flow::FlowId flow;
};
// To the first: another's link is gone.
struct LinkGone {};
// From whoever runs the workers.
struct WorkerCall {
  std::function<void(Worker&, Outside&)> run;
};

using Post = std::variant<Parcel, FlowsEnded, Seen, ClientAccepted, FlowAsks, AskWithdrawn,
                          FlowRuled, LinkGone, WorkerCall>;

// What is known of the host, where it has changed. From the first, which watches it.
struct HostNews {
  std::optional<std::vector<wire::IpAddress>> addresses{};  // All of them.
  std::vector<wire::Prefix> nat64{};                        // All of them; none: as before.
  std::optional<resolv::ResolvConf> resolvers{};            // For questions of the workers' own.
};

}  // namespace sluice::driver
