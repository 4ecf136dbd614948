// --check for programs: every setting of every rule. Durations are seconds, sizes bytes; what is
// not set is null.
#include <nlohmann/json.hpp>

#include "config/forward_config.h"
#include "config/setting_names.h"

namespace sluice::config {
namespace {

using Json = nlohmann::ordered_json;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

Json to_json(const policy::AccessList& access) {
  Json allow = Json::array();
  Json deny = Json::array();
  for (const auto& pattern : access.allow) allow.push_back(pattern.text());
  for (const auto& pattern : access.deny) deny.push_back(pattern.text());
  return {{"allow", std::move(allow)}, {"deny", std::move(deny)}};
}

Json to_json(const forward::LimitPlan& limits) {
  return {{"connections", limits.connections},
          {"new_per_second", limits.new_per_second},
          {"to_target_rate", limits.to_target_rate},
          {"to_client_rate", limits.to_client_rate}};
}

Json to_json(const forward::TimeoutPlan& timeouts) {
  return {{"connect", seconds(timeouts.connect)},
          {"idle", seconds(timeouts.idle)},
          {"half_closed", seconds(timeouts.half_closed)},
          {"udp_session", seconds(timeouts.udp_session)},
          {"proxy_header", seconds(timeouts.proxy_header)}};
}

Json to_json(const forward::HealthPlan& health) {
  return {{"enabled", health.enabled},
          {"interval", seconds(health.interval)},
          {"timeout", seconds(health.timeout)},
          {"rise", health.rise},
          {"fall", health.fall}};
}

Json to_json(const forward::KeepAlivePlan& keepalive) {
  return {{"enabled", keepalive.enabled},
          {"idle", keepalive.idle_seconds},
          {"interval", keepalive.interval_seconds},
          {"count", keepalive.count}};
}

Json to_json(const forward::SocketPlan& socket) {
  return {{"listen_device", text_or_null(socket.listen_device)},
          {"target_device", text_or_null(socket.target_device)},
          {"mark", socket.mark ? Json(*socket.mark) : Json()},
          {"source_address", socket.source ? Json(wire::to_string(*socket.source)) : Json()},
          {"transparent", socket.transparent},
          {"fast_open", socket.fast_open},
          {"multipath", socket.multipath},
          {"receive_buffer", socket.receive_buffer},
          {"send_buffer", socket.send_buffer},
          {"keepalive", to_json(socket.keepalive)}};
}

Json to_json(const forward::Rule& rule, const forward::Plan& plan) {
  Json targets = Json::array();
  for (const forward::Target& target : rule.targets) {
    targets.push_back({{"to", to_string(target.place)}, {"weight", target.weight}});
  }
  Json out = {{"name", rule.name},
              {"file", text_or_null(rule.where.file)},
              {"line", rule.where.line == 0 ? Json() : Json(rule.where.line)},
              {"listen", to_string(rule.listen)},
              {"targets", std::move(targets)},
              {"balance", name_of(kBalances, rule.balance)}};
  out.update(to_json(rule.access));
  out["limits"] = to_json(rule.limits);
  out["client_limits"] = to_json(rule.client_limits);
  out["timeouts"] = to_json(rule.timeouts);
  out["health"] = to_json(rule.health);
  out["proxy_protocol_in"] = rule.proxy_in == forward::ProxyIn::kRequired;
  out["proxy_protocol_from"] = Json::array();
  for (const policy::AddressPattern& pattern : rule.proxy_from) {
    out["proxy_protocol_from"].push_back(pattern.text());
  }
  out["proxy_protocol_out"] = name_of(kProxyVersions, rule.proxy_out);
  out["framing"] = name_of(kFramings, rule.framing);
  out["relay"] = name_of(kRelayModes, rule.relay.value_or(plan.relay.mode));
  out.update(to_json(rule.socket));
  return out;
}

}  // namespace

std::string describe_plan_json(const forward::Plan& plan) {
  Json out = {{"log_file", text_or_null(plan.log_file)},
              {"log_format", name_of(kLogFormats, plan.log_format)},
              {"pid_file", text_or_null(plan.pid_file)},
              {"workers", plan.workers},
              {"relay", name_of(kRelayModes, plan.relay.mode)},
              {"buffer_size", plan.relay.buffer_size},
              {"pipe_size", plan.relay.pipe_size},
              {"drain_timeout", seconds(plan.drain_timeout)}};
  out.update(to_json(plan.access));
  Json rules = Json::array();
  for (const forward::Rule& rule : plan.rules) rules.push_back(to_json(rule, plan));
  out["forwarding_rules"] = std::move(rules);
  // Paths of a rinetd.conf may be no UTF-8; they must not end the program.
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sluice::config
