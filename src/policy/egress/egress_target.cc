#include "policy/egress/egress_target.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/overloaded.h"

namespace sluice::policy {
namespace {

std::unexpected<RuleError> expected(std::string_view what) {
  return std::unexpected(RuleError{std::string(what)});
}

bool looks_like_an_address(std::string_view text) {
  if (text.starts_with('[') || std::ranges::count(text, ':') >= 2) return true;
  const std::string_view head = text.substr(0, text.find_first_of(":/"));
  return !head.empty() && head.find_first_not_of("0123456789.") == std::string_view::npos;
}

std::expected<EgressTarget, RuleError> parse_address(std::string_view text) {
  auto rule = parse_rule(text);
  if (!rule) return std::unexpected(std::move(rule.error()));
  return EgressTarget{.subject = rule->prefix,
                      .ports_written = rule->names_ports(),
                      .ports = std::move(rule->ports),
                      .protocol = rule->protocol};
}

std::expected<void, RuleError> check_protocol(const EgressTarget& target) {
  if (target.protocol == Protocol::kIcmp && target.ports_written) {
    return expected("no ports before /icmp, which has none");
  }
  if (target.protocol == Protocol::kUdp && target.name() != nullptr && !target.ports_written) {
    return expected("the ports of UDP, as NAME:443/udp, or NAME:*/udp for all");
  }
  return {};
}

// `text` is a name or a group, of which only a port has a colon.
std::expected<EgressTarget, RuleError> parse_named(std::string_view text) {
  EgressTarget target;
  const auto protocol = cut_protocol(text);
  if (!protocol) return std::unexpected(protocol.error());
  target.protocol = *protocol;
  const std::size_t colon = text.find(':');
  if (colon != std::string_view::npos) {
    const std::string_view list = text.substr(colon + 1);
    if (list.empty()) return expected("ports behind the colon");
    auto ports = parse_ports(list);
    if (!ports) return std::unexpected(std::move(ports.error()));
    target.ports_written = true;
    target.ports = std::move(*ports);
    text = text.substr(0, colon);
  }
  if (text.starts_with('@')) {
    const auto group = parse_address_group(text);
    if (!group) {
      return expected(
          "a group of @public, @private, @host, @loopback, @gateway, @metadata and "
          "@link-local");
    }
    target.subject = *group;
    target.ports_written = target.ports_written && !target.ports.empty();
  } else {
    auto pattern = NamePattern::parse(text);
    if (!pattern) return std::unexpected(std::move(pattern.error()));
    target.subject = std::move(*pattern);
  }
  if (auto ok = check_protocol(target); !ok) return std::unexpected(std::move(ok.error()));
  return target;
}

std::string subject_text(const EgressTarget& target) {
  return std::visit(Overloaded{[](const NamePattern& pattern) { return to_string(pattern); },
                               [&](const wire::Prefix& prefix) {
                                 return to_string(Rule{prefix, target.ports, target.protocol});
                               },
                               [](AddressGroup group) { return std::string(to_string(group)); }},
                    target.subject);
}

}  // namespace

std::expected<EgressTarget, RuleError> parse_egress_target(std::string_view text) {
  return looks_like_an_address(text) ? parse_address(text) : parse_named(text);
}

std::string to_string(const EgressTarget& target) {
  std::string text = subject_text(target);
  if (std::holds_alternative<wire::Prefix>(target.subject)) return text;
  if (target.ports_written) {
    text += fmt::format(":{}", target.ports.empty() ? "*" : to_string(std::span(target.ports)));
  }
  if (target.protocol) text += fmt::format("/{}", to_string(*target.protocol));
  return text;
}

PortScope scope_of(const EgressTarget& target, Effect effect) {
  PortScope scope{target.ports, target.protocol, port_count(target.ports),
                  target.protocol.has_value()};
  if (target.name() == nullptr || effect == Effect::kDeny) return scope;
  if (!scope.protocol) scope.protocol = Protocol::kTcp;
  if (!target.ports_written && scope.protocol == Protocol::kTcp)
    scope.ports = {{80, 80}, {443, 443}};
  return scope;
}

}  // namespace sluice::policy
