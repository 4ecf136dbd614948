#include "app/guest/policy_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "app/guest/ask_options.h"
#include "app/guest/brokers.h"
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

// What --host-loopback and --host-addresses open, and what rules on the loopback close.
void add_host_rules(EgressDraft& draft, const serve::PolicySources& sources) {
  const bool refuses = draft.fallback != Effect::kAllow;
  if (!sources.host_loopback && opens_loopback(draft)) close_other_ports(draft);
  if (sources.host_loopback && refuses) {
    draft.rules.push_back(rule_of(AddressGroup::kLoopback, Effect::kAllow, "--host-loopback"));
  }
  if (sources.host_addresses && refuses) {
    draft.rules.push_back(rule_of(AddressGroup::kHost, Effect::kAllow, "--host-addresses"));
  }
}

}  // namespace

std::expected<void, Mistake> read_policy_options(const RawOptions& raw, GuestOptions& options) {
  config::PolicyRequest request{.allow = raw.all(OptionId::kAllow),
                                .deny = raw.all(OptionId::kDeny),
                                .ask = raw.all(OptionId::kAsk),
                                .files = raw.all(OptionId::kPolicy),
                                .profiles = raw.all(OptionId::kProfile)};
  for (const std::string& text : raw.all(OptionId::kDefault)) request.fallback = text;
  request.limits = raw.all(OptionId::kLimit);
  auto parts = config::read_policy(request, config::ProfileLibrary::of_this_host());
  if (!parts) return std::unexpected(Mistake{std::move(parts.error())});
  for (const config::ConfigMessage& warning : parts->warnings) {
    options.policy_warnings.push_back(warning.describe());
  }
  const auto remembered = read_ask_options(raw, *parts, options.ask);
  if (!remembered) return std::unexpected(remembered.error());
  if (options.ask.domain_of) {
    if (auto folder = remembered_folder()) options.hidden.push_back(std::move(*folder));
  }
  const bool names = std::ranges::any_of(
      parts->draft.rules, [](const DraftRule& rule) { return rule.target.name() != nullptr; });
  options.audit = raw.has(OptionId::kAudit) || raw.has(OptionId::kLearn);
  for (const std::string& file : raw.all(OptionId::kLearn)) options.learn = file;
  options.generalise = raw.has(OptionId::kGeneralise);
  if (raw.has(OptionId::kLearn) && options.learn.empty()) {
    return fail("--learn: the name of the file is empty");
  }
  if (options.generalise && options.learn.empty()) {
    return fail("--generalise says how to write the file of --learn, which is missing");
  }
  // So that names decide, and every flow has its own.
  if (!options.learn.empty()) parts->draft.fallback = Effect::kDeny;
  if (names || !request.ask.empty() || request.fallback ||
      parts->draft.fallback != Effect::kAllow || !request.files.empty() ||
      !request.profiles.empty() || !request.limits.empty()) {
    options.policy_line = config::describe_policy(*parts);
    if (*remembered > 0) options.policy_line += fmt::format(", +{} remembered", *remembered);
  }
  if (!options.learn.empty()) {
    options.policy_line = fmt::format(
        "nothing is refused but what no policy opens by itself; {} "
        "will say what was used",
        options.learn);
  } else if (options.audit) {
    options.policy_line = config::describe_policy(*parts) + "; what it refuses is only told";
  }
  options.policy_sources = {.allow = request.allow,
                            .deny = request.deny,
                            .ask = request.ask,
                            .limits = request.limits,
                            .files = {},
                            .profiles = request.profiles,
                            .fallback = request.fallback.value_or("")};
  for (const std::string& file : request.files) {
    std::error_code error;
    const auto path = std::filesystem::absolute(file, error);
    options.policy_sources.files.push_back(error ? file : path.lexically_normal().string());
  }
  if (auto found = find_brokers(parts->draft); !found) {
    return std::unexpected(Mistake{"--policy: " + found.error()});
  }
  options.policy = std::move(parts->draft);
  options.limits.max_flows = parts->max_flows.value_or(options.limits.max_flows);
  options.limits.new_flows_per_second =
      parts->new_flows_per_second.value_or(options.limits.new_flows_per_second);
  return {};
}

bool opens_loopback(const EgressDraft& policy) { return std::ranges::any_of(policy.rules, opens); }

serve::PolicySources sources_of(const GuestOptions& options) {
  serve::PolicySources sources = options.policy_sources;
  sources.host_loopback = options.host_loopback;
  sources.host_addresses = options.host_addresses;
  return sources;
}

std::expected<PolicyAgain, std::string> read_policy_again(const serve::PolicySources& sources) {
  config::PolicyRequest request{.allow = sources.allow,
                                .deny = sources.deny,
                                .ask = sources.ask,
                                .files = sources.files,
                                .profiles = sources.profiles,
                                .limits = sources.limits};
  if (!sources.fallback.empty()) request.fallback = sources.fallback;
  auto parts = config::read_policy(request, config::ProfileLibrary::of_this_host());
  if (!parts) return std::unexpected(std::move(parts.error()));
  if (const auto found = find_brokers(parts->draft); !found) return std::unexpected(found.error());
  PolicyAgain again{};
  again.line = config::describe_policy(*parts);
  for (const config::ConfigMessage& warning : parts->warnings) {
    again.warnings.push_back(warning.describe());
  }
  again.draft = std::move(parts->draft);
  if (const auto remembered = add_remembered(again.draft); !remembered) {
    return std::unexpected(remembered.error());
  }
  add_host_rules(again.draft, sources);
  return again;
}

EgressDraft policy_for(const GuestOptions& options, const flow::GuestNetwork& network) {
  EgressDraft draft = options.policy;
  if (network.ipv4) draft.gateways.push_back(network.gateway_v4);
  if (network.ipv6) draft.gateways.push_back(network.gateway_v6);
  add_host_rules(draft, sources_of(options));
  return draft;
}

}  // namespace sluice::app
