#include "config/rule_checks.h"

#include <fmt/core.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace sluice::config {
namespace {

using forward::Place;
using forward::Rule;

bool is_udp(const Place& place) { return place.protocol == policy::Protocol::kUdp; }

void check_targets(const Rule& rule, RuleFindings& found) {
  for (const forward::Target& target : rule.targets) {
    if (is_udp(target.place) != rule.targets_udp()) {
      found.errors.push_back(
          fmt::format("targets {} and {} are of different protocols; expected one protocol for all",
                      to_string(rule.targets.front().place), to_string(target.place)));
    }
    if (target.place.port_count == rule.listen.port_count) continue;
    const unsigned first = target.place.port;
    const unsigned last = first + rule.listen.port_count - 1;
    found.errors.push_back(
        fmt::format("target {} has {} port(s) and the listener {} has {}; expected as many, {}",
                    to_string(target.place), target.place.port_count, to_string(rule.listen),
                    rule.listen.port_count,
                    last > 65'535   ? std::string("within 1 to 65535")
                    : first == last ? fmt::format("as {}", first)
                                    : fmt::format("as {}-{}", first, last)));
  }
}

void check_protocols(const Rule& rule, RuleFindings& found) {
  const bool any_udp = rule.listens_udp() || rule.targets_udp();
  if (rule.proxy_in != forward::ProxyIn::kOff && rule.listens_udp()) {
    found.errors.emplace_back(
        "proxy_protocol_in needs a listener on TCP or a UNIX socket; datagrams carry no header");
  }
  if (rule.proxy_in == forward::ProxyIn::kOff && !rule.proxy_from.empty()) {
    found.errors.emplace_back(
        "proxy_protocol_from says who may send a header, and none is expected; set "
        "proxy_protocol_in = true, or remove it");
  }
  if (rule.proxy_out != forward::ProxyOut::kOff && any_udp) {
    found.errors.emplace_back(
        "proxy_protocol_out needs TCP or UNIX sockets on both sides; datagrams carry no header");
  }
  if (rule.framing != forward::Framing::kNone && rule.listens_udp() == rule.targets_udp()) {
    found.errors.emplace_back(
        "framing needs a rule that crosses protocols, as from udp:// to tcp://; remove it");
  }
  if (rule.health.enabled && rule.targets_udp()) {
    found.errors.emplace_back(
        "health checks connect, so they need TCP or UNIX targets; remove health");
  }
  if (rule.relay && any_udp) {
    found.warnings.emplace_back("relay has no effect on datagrams");
  }
  if (rule.listens_udp() && rule.targets_udp()) {
    if (rule.socket.fast_open) found.warnings.emplace_back("fast_open has no effect on UDP");
    if (rule.socket.multipath) found.warnings.emplace_back("multipath has no effect on UDP");
  }
}

void check_source(const Rule& rule, RuleFindings& found) {
  const forward::SocketPlan& socket = rule.socket;
  if (socket.transparent && socket.source) {
    found.errors.emplace_back(
        "transparent connects from the client's address and source_address from a fixed one; "
        "expected one of them");
  }
  if (socket.transparent && rule.listen.is_unix()) {
    found.errors.emplace_back(
        "transparent needs clients with an address; a UNIX socket's have none");
  }
  for (const forward::Target& target : rule.targets) {
    if (socket.transparent && target.place.is_unix()) {
      found.errors.push_back(fmt::format(
          "transparent needs TCP or UDP targets; {} has no addresses", to_string(target.place)));
    }
    const auto address = target.place.literal();
    if (socket.source && address && address->family() != socket.source->family()) {
      found.warnings.push_back(
          fmt::format("source_address {} cannot reach target {}: one is IPv4, the other IPv6",
                      wire::to_string(*socket.source), to_string(target.place)));
    }
  }
}

// Without its interface a link-local address leads nowhere.
void check_scope(const Place& place, const std::string& device, std::string_view setting,
                 RuleFindings& found) {
  const auto address = place.literal();
  if (!address || address->is_v4() || !address->is_link_local()) return;
  if (place.scope_id != 0 || !device.empty()) return;
  found.warnings.push_back(fmt::format("{} needs its interface; expected it as fe80::1%eth0, or {}",
                                       to_string(place), setting));
}

// Where a rule listens, so that equal texts are equal places.
std::string listener_key(const Place& place) {
  if (place.is_unix() || !place.inherited.empty()) return to_string(place);
  std::string host = place.host;
  if (const auto address = place.literal()) {
    host = fmt::format("{}%{}", wire::to_string(*address), place.scope_id);
  }
  if (host.empty() || host == "::%0") host = "*";  // All three take IPv4 clients too.
  return fmt::format("{}://{}", policy::to_string(place.protocol), host);
}

std::string place_in_file(const Rule& rule) {
  if (rule.where.line == 0) return fmt::format("another rule, {},", quoted(rule.name));
  return fmt::format("line {}", rule.where.line);
}

void find_shared_listeners(const forward::Plan& plan, Messages& messages) {
  struct Listener {
    std::string key;
    const Rule* rule;
    [[nodiscard]] unsigned last() const { return rule->listen.port + rule->listen.port_count - 1U; }
  };
  std::vector<Listener> listeners;
  for (const Rule& rule : plan.rules) listeners.push_back({listener_key(rule.listen), &rule});
  std::sort(listeners.begin(), listeners.end(), [](const Listener& a, const Listener& b) {
    return std::tie(a.key, a.rule->listen.port, a.rule) <
           std::tie(b.key, b.rule->listen.port, b.rule);
  });
  // The one before that reaches furthest.
  const Listener* before = nullptr;
  for (const Listener& listener : listeners) {
    const bool together = before != nullptr && before->key == listener.key &&
                          listener.rule->listen.port <= before->last();
    if (together) {
      const auto [first, second] =
          std::minmax(before->rule, listener.rule,
                      [](const Rule* a, const Rule* b) { return a->where.line < b->where.line; });
      messages.error(
          second->where.line,
          fmt::format("listens on {} as {} does on {}; expected another address or port",
                      to_string(second->listen), place_in_file(*first), to_string(first->listen)));
    }
    if (!together || listener.last() > before->last()) before = &listener;
  }
}

void find_shared_names(const forward::Plan& plan, Messages& messages) {
  std::unordered_map<std::string_view, const Rule*> seen;
  for (const Rule& rule : plan.rules) {
    const auto [entry, is_new] = seen.emplace(rule.name, &rule);
    const Rule& other = *entry->second;
    // Both have their listener's, and of that there is an error already.
    const bool both_default =
        rule.name == to_string(rule.listen) && rule.name == to_string(other.listen);
    if (is_new || both_default) continue;
    messages.error(rule.where.line,
                   fmt::format("name {} is that of {} too; expected another, as logs and counters "
                               "go by it",
                               quoted(rule.name), place_in_file(other)));
  }
}

}  // namespace

RuleFindings check_rule(const Rule& rule) {
  RuleFindings found;
  check_targets(rule, found);
  check_protocols(rule, found);
  check_source(rule, found);
  check_scope(rule.listen, rule.socket.listen_device, "listen_device", found);
  for (const forward::Target& target : rule.targets) {
    check_scope(target.place, rule.socket.target_device, "target_device", found);
  }
  return found;
}

std::expected<LoadedPlan, ConfigErrors> finish_plan(forward::Plan plan, Messages messages) {
  for (Rule& rule : plan.rules) {
    if (rule.name.empty()) rule.name = to_string(rule.listen);
    RuleFindings found = check_rule(rule);
    for (std::string& text : found.errors) messages.error(rule.where.line, std::move(text));
    for (std::string& text : found.warnings) messages.warn(rule.where.line, std::move(text));
  }
  find_shared_listeners(plan, messages);
  find_shared_names(plan, messages);
  if (messages.any_error()) return std::unexpected(messages.take_all());
  return LoadedPlan{std::move(plan), messages.take_warnings()};
}

}  // namespace sluice::config
