#include "app/guest/policy_options.h"

#include <algorithm>
#include <string>
#include <utility>

#include "config/egress/policy_request.h"
#include "config/egress/profile_library.h"

namespace sluice::app {
namespace {

using policy::AddressGroup;
using policy::DraftRule;
using policy::Effect;
using policy::EgressDraft;

// Both are reached by the gateway's address.
bool is_of_gateway(const DraftRule& rule) {
  const auto* const group = std::get_if<AddressGroup>(&rule.target.subject);
  return group != nullptr &&
         (*group == AddressGroup::kLoopback || *group == AddressGroup::kGateway);
}

bool opens(const DraftRule& rule) {
  return rule.rule.effect != Effect::kDeny && is_of_gateway(rule);
}

DraftRule rule_of(AddressGroup group, Effect effect, std::string id) {
  std::string source = id;
  return {.target = {.subject = group},
          .rule = {.id = std::move(id), .effect = effect, .source = std::move(source)}};
}

// Rules that open some ports of the loopback open no others, whatever the default.
void close_other_ports(EgressDraft& draft) {
  const auto opens_all = [](const DraftRule& rule) {
    return opens(rule) && !rule.target.ports_written && !rule.target.protocol;
  };
  if (std::ranges::any_of(draft.rules, opens_all)) return;
  draft.rules.push_back(
      rule_of(AddressGroup::kLoopback, Effect::kDeny, "other ports of @loopback"));
}

}  // namespace

std::expected<void, Mistake> read_policy_options(const RawOptions& raw, GuestOptions& options) {
  config::PolicyRequest request{.allow = raw.all(OptionId::kAllow),
                                .deny = raw.all(OptionId::kDeny),
                                .files = raw.all(OptionId::kPolicy),
                                .profiles = raw.all(OptionId::kProfile)};
  for (const std::string& text : raw.all(OptionId::kDefault)) request.fallback = text;
  auto parts = config::read_policy(request, config::ProfileLibrary::of_this_host());
  if (!parts) return std::unexpected(Mistake{std::move(parts.error())});
  for (const config::ConfigMessage& warning : parts->warnings) {
    options.policy_warnings.push_back(warning.describe());
  }
  const bool names = std::ranges::any_of(
      parts->draft.rules, [](const DraftRule& rule) { return rule.target.name() != nullptr; });
  if (names || request.fallback || parts->draft.fallback != Effect::kAllow ||
      !request.files.empty() || !request.profiles.empty()) {
    options.policy_line = config::describe_policy(*parts);
  }
  options.policy = std::move(parts->draft);
  options.limits.max_flows = parts->max_flows.value_or(options.limits.max_flows);
  options.limits.new_flows_per_second =
      parts->new_flows_per_second.value_or(options.limits.new_flows_per_second);
  return {};
}

bool opens_loopback(const EgressDraft& policy) { return std::ranges::any_of(policy.rules, opens); }

EgressDraft policy_for(const GuestOptions& options, const flow::GuestNetwork& network) {
  EgressDraft draft = options.policy;
  if (network.ipv4) draft.gateways.push_back(network.gateway_v4);
  if (network.ipv6) draft.gateways.push_back(network.gateway_v6);
  const bool refuses = draft.fallback != Effect::kAllow;
  if (!options.host_loopback && opens_loopback(draft)) close_other_ports(draft);
  if (options.host_loopback && refuses) {
    draft.rules.push_back(rule_of(AddressGroup::kLoopback, Effect::kAllow, "--host-loopback"));
  }
  if (options.host_addresses && refuses) {
    draft.rules.push_back(rule_of(AddressGroup::kHost, Effect::kAllow, "--host-addresses"));
  }
  return draft;
}

}  // namespace sluice::app
