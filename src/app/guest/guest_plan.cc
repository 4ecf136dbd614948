#include "app/guest/guest_plan.h"

#include <fmt/core.h>

#include <cstdio>
#include <utility>

#include "app/guest/learned_policy.h"
#include "app/guest/policy_options.h"
#include "app/guest/port_list.h"
#include "netlink/host_routes.h"
#include "telemetry/log.h"

namespace sluice::app {

namespace {

serve::LearnPlan learn_plan(const GuestOptions& options) {
  const Generalise generalise = options.generalise ? Generalise::kDomains : Generalise::kNo;
  return {.file = options.learn, .text = [generalise](const telemetry::Usage& usage) {
            return learned_policy(usage, generalise);
          }};
}

}  // namespace

void tell_policy(const GuestOptions& options) {
  for (const std::string& warning : options.policy_warnings) telemetry::log_warn("{}", warning);
  if (options.policy_line.empty() || options.log_level < telemetry::LogLevel::kWarn) return;
  fmt::print(stderr, "sluice: policy: {}\n", options.policy_line);
}

NetworkChoice network_for(const GuestOptions& options) {
  const auto routes = netlink::read_host_routes();
  if (!routes) telemetry::log_info("the host's routes: {}", routes.error().describe());
  NetworkChoice choice = choose_network(options, routes ? *routes : netlink::HostRoutes{});
  for (const std::string& warning : choice.warnings) telemetry::log_warn("{}", warning);
  return choice;
}

serve::OutputPlan output_plan(const GuestOptions& options) {
  return {.report = options.report,
          .report_file = options.report_file,
          .flow_log = options.flow_log,
          .events = options.events,
          .pcap = options.pcap,
          .learn = learn_plan(options),
          .audit = options.audit,
          .trace = options.trace,
          .trace_file = options.trace_file};
}

serve::ServePlan serve_plan(const GuestOptions& options, flow::GuestNetwork network) {
  policy::EgressDraft policy = policy_for(options, network);
  return {.network = std::move(network),
          .policy = std::move(policy),
          .ask = options.ask,
          .policy_sources = sources_of(options),
          .audit = options.audit,
          .limits = options.limits,
          .host_loopback = options.host_loopback || opens_loopback(options.policy),
          .host_addresses = options.host_addresses,
          .nat64_prefixes = options.nat64_prefixes,
          .publish = options.publish,
          .follow = options.follow,
          .call_guest = policy::LoopbackUse::kNever,
          .outbound = options.outbound,
          .resolvers = options.resolvers,
          .fast_path = policy::FastPathUse::kOff,
          .metrics = options.metrics,
          .workers = options.workers.value_or(1)};
}

std::string shown_command(const std::vector<std::string>& command) {
  constexpr std::size_t kMost = 200;
  return fmt::format("{}", fmt::join(command, " ")).substr(0, kMost);
}

serve::ServePlan namespace_plan(const NamespaceOptions& options, flow::GuestNetwork network) {
  serve::ServePlan plan = serve_plan(options, std::move(network));
  plan.fast_path = options.fast_path;
  plan.loopback = options.loopback;
  const EphemeralPorts ephemeral = EphemeralPorts::of_host();
  plan.host_follow = {options.follow_host, ephemeral.first, ephemeral.last};
  plan.call_guest = options.call_guest;
  return plan;
}

}  // namespace sluice::app
