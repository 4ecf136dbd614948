// What `sluice run`, `sluice vm` and `sluice box` are asked about their guest: its network, what
// may pass, and what one sees of it.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "app/options/early_exit.h"
#include "app/options/raw_options.h"
#include "flow/core/guest_network.h"
#include "host/outbound.h"
#include "policy/egress/egress_policy.h"
#include "policy/limits/limits.h"
#include "policy/port_map.h"
#include "serve/ask/ask_plan.h"
#include "serve/policy_sources.h"
#include "serve/ports/followed_ports.h"
#include "telemetry/log.h"
#include "telemetry/snapshot.h"
#include "telemetry/trace/trace_target.h"

namespace sluice::app {

struct GuestOptions {
  // Families, addresses, MTU, MAC and whether DNS is relayed. At least one family is on; its
  // addresses are distinct and in one subnet. Search domains and the host's name are not set here.
  flow::GuestNetwork network;
  // Whether the user named an address of that family's network.
  bool chosen_v4 = false;
  bool chosen_v6 = false;

  bool host_loopback = false;   // --host-loopback
  bool host_addresses = false;  // --host-addresses
  std::vector<wire::Prefix> nat64_prefixes;
  std::vector<policy::PortMap> publish;
  std::vector<serve::FollowedPorts> follow;  // Ports that follow the guest's (serve::ServePlan).
  host::Outbound outbound;                   // --outbound
  std::vector<wire::Endpoint> resolvers;     // Whom to ask for names; none: as the host does.

  // --allow, --ask, --deny, --policy, --profile and --default, put together.
  policy::EgressDraft policy;
  serve::PolicySources policy_sources;       // What it was made of.
  std::string policy_line;                   // What to say of it at the start; empty: nothing.
  std::vector<std::string> policy_warnings;  // Doubts about its rules.
  std::vector<std::string> hidden;           // Folders that are not for the guest to see.
  serve::AskPlan ask;                        // How people are asked, where they are.
  bool audit = false;                        // --audit, and with --learn
  std::string learn;                         // --learn; empty: nothing is learnt.
  bool generalise = false;                   // --generalise
  policy::LimitOptions limits;
  // Threads that serve the guest, 1 to kWorkersMax; nothing: as its link is best served.
  static constexpr std::uint32_t kWorkersMax = 16;
  std::optional<std::uint32_t> workers;

  telemetry::ReportFormat report = telemetry::ReportFormat::kNone;
  std::string report_file;  // Empty: standard error.
  std::string flow_log;     // Empty: none; as are the next two.
  std::string events;
  std::string pcap;
  std::optional<wire::Endpoint> metrics;          // --metrics
  const telemetry::TraceTarget* trace = nullptr;  // --trace; null: none.
  std::string trace_file;                         // Empty: standard error.
  telemetry::LogLevel log_level = telemetry::LogLevel::kWarn;
};

// `default_mtu` where --mtu is not given.
[[nodiscard]] std::expected<void, Mistake> read_guest_options(const RawOptions& raw,
                                                              std::uint16_t default_mtu,
                                                              GuestOptions& options);

}  // namespace sluice::app
