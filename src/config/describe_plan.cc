// --check for a person: every rule with what it leads to and who may come, and of the other
// settings those that are not the default.
#include <fmt/format.h>

#include <iterator>

#include "config/forward_config.h"
#include "config/messages.h"
#include "config/setting_names.h"
#include "config/units.h"

namespace sluice::config {
namespace {

using forward::Rule;

// Lines of a name and a value; a list goes on under its first value.
class Sheet {
 public:
  void heading(std::string_view text) {
    if (!out_.empty()) out_ += '\n';
    fmt::format_to(std::back_inserter(out_), "{}\n", text);
  }
  void line(std::string_view name, std::string_view value) {
    constexpr int kNameWidth = 16;
    const std::string_view shown = name == last_name_ ? std::string_view() : name;
    fmt::format_to(std::back_inserter(out_), "  {:<{}}{}\n", shown, kNameWidth, value);
    last_name_ = name;
  }
  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  std::string out_;
  std::string_view last_name_;  // Names are literals.
};

// "a 5s, b 10m": parts that are set, with commas.
class Parts {
 public:
  void add(std::string_view part) {
    if (!text_.empty()) text_ += ", ";
    text_ += part;
  }
  void add(std::string_view name, std::string_view value) {
    add(fmt::format("{} {}", name, value));
  }
  void put(Sheet& sheet, std::string_view name) const {
    if (!text_.empty()) sheet.line(name, text_);
  }

 private:
  std::string text_;
};

std::string or_never(Duration duration) {
  return duration == Duration::zero() ? std::string("never") : format_duration(duration);
}

void describe_access(const policy::AccessList& access, Sheet& sheet) {
  for (const auto& pattern : access.allow) sheet.line("allow", pattern.text());
  for (const auto& pattern : access.deny) sheet.line("deny", pattern.text());
}

void describe_limits(const forward::LimitPlan& limits, std::string_view name, Sheet& sheet) {
  Parts parts;
  if (limits.connections != 0) parts.add("connections", fmt::to_string(limits.connections));
  if (limits.new_per_second != 0) parts.add("new", fmt::format("{}/s", limits.new_per_second));
  if (limits.to_target_rate != 0) {
    parts.add("to target", format_size(limits.to_target_rate) + "/s");
  }
  if (limits.to_client_rate != 0) {
    parts.add("to client", format_size(limits.to_client_rate) + "/s");
  }
  parts.put(sheet, name);
}

// Those that the rule's protocols can meet, whether default or not: people look for them.
void describe_timeouts(const Rule& rule, Sheet& sheet) {
  const forward::TimeoutPlan& timeouts = rule.timeouts;
  Parts parts;
  if (!rule.targets_udp()) parts.add("connect", format_duration(timeouts.connect));
  if (!rule.listens_udp()) parts.add("idle", or_never(timeouts.idle));
  if (!rule.listens_udp() && !rule.targets_udp()) {
    parts.add("half closed", or_never(timeouts.half_closed));
  }
  if (rule.listens_udp() || rule.targets_udp()) {
    parts.add("session", format_duration(timeouts.udp_session));
  }
  if (rule.proxy_in == forward::ProxyIn::kRequired) {
    parts.add("PROXY header", or_never(timeouts.proxy_header));
  }
  parts.put(sheet, "timeouts");
}

void describe_keepalive(const forward::KeepAlivePlan& keepalive, Sheet& sheet) {
  if (keepalive == forward::KeepAlivePlan{}) return;
  Parts parts;
  if (!keepalive.enabled) parts.add("off");
  if (keepalive.idle_seconds != 0) parts.add("idle", fmt::format("{}s", keepalive.idle_seconds));
  if (keepalive.interval_seconds != 0) {
    parts.add("interval", fmt::format("{}s", keepalive.interval_seconds));
  }
  if (keepalive.count != 0) parts.add("count", fmt::to_string(keepalive.count));
  // A table without details says no more than true, which is the default.
  parts.put(sheet, "keepalive");
}

void describe_socket(const forward::SocketPlan& socket, Sheet& sheet) {
  Parts from;
  if (socket.transparent) from.add("the client's address");
  if (socket.source) from.add(wire::to_string(*socket.source));
  from.put(sheet, "connect from");
  if (!socket.listen_device.empty()) sheet.line("listen device", socket.listen_device);
  if (!socket.target_device.empty()) sheet.line("target device", socket.target_device);
  if (socket.mark) sheet.line("mark", fmt::to_string(*socket.mark));
  Parts tcp;
  if (socket.fast_open) tcp.add("fast open");
  if (socket.multipath) tcp.add("multipath");
  tcp.put(sheet, "tcp");
  Parts buffers;
  if (socket.receive_buffer != 0) buffers.add("receive", format_size(socket.receive_buffer));
  if (socket.send_buffer != 0) buffers.add("send", format_size(socket.send_buffer));
  buffers.put(sheet, "socket buffers");
  describe_keepalive(socket.keepalive, sheet);
}

void describe_health(const forward::HealthPlan& health, Sheet& sheet) {
  if (!health.enabled) return;
  sheet.line("health", fmt::format("every {}, timeout {}, up after {}, down after {}",
                                   format_duration(health.interval),
                                   format_duration(health.timeout), health.rise, health.fall));
}

std::string title_of(const Rule& rule) {
  if (rule.where.file.empty()) return rule.name;
  return fmt::format("{}  ({}:{})", rule.name, rule.where.file, rule.where.line);
}

void describe_rule(const Rule& rule, Sheet& sheet) {
  sheet.heading(title_of(rule));
  sheet.line("listen", to_string(rule.listen));
  for (const forward::Target& target : rule.targets) {
    const std::string place = to_string(target.place);
    sheet.line("target",
               target.weight == 1 ? place : fmt::format("{}  weight {}", place, target.weight));
  }
  if (rule.targets.size() > 1) sheet.line("balance", name_of(kBalances, rule.balance));
  describe_access(rule.access, sheet);
  describe_limits(rule.limits, "limits", sheet);
  describe_limits(rule.client_limits, "client limits", sheet);
  describe_timeouts(rule, sheet);
  describe_health(rule.health, sheet);
  if (rule.proxy_in == forward::ProxyIn::kRequired) {
    std::string peers;
    for (const policy::AddressPattern& pattern : rule.proxy_from) {
      peers += fmt::format("{}{}", peers.empty() ? ", from " : " ", pattern.text());
    }
    sheet.line("PROXY in", "required" + peers);
  }
  if (rule.proxy_out != forward::ProxyOut::kOff) {
    sheet.line("PROXY out", name_of(kProxyVersions, rule.proxy_out));
  }
  if (rule.framing != forward::Framing::kNone) {
    sheet.line("framing", name_of(kFramings, rule.framing));
  }
  if (rule.relay) sheet.line("relay", name_of(kRelayModes, *rule.relay));
  describe_socket(rule.socket, sheet);
}

void describe_whole(const forward::Plan& plan, Sheet& sheet) {
  sheet.heading(plan.rules.size() == 1 ? std::string("1 rule")
                                       : fmt::format("{} rules", plan.rules.size()));
  sheet.line("log", plan.log_file.empty()
                        ? std::string("none")
                        : fmt::format("{}, format {}",
                                      plan.log_file == "-" ? "standard output" : plan.log_file,
                                      name_of(kLogFormats, plan.log_format)));
  if (!plan.pid_file.empty()) sheet.line("pid file", plan.pid_file);
  sheet.line("workers",
             plan.workers == 0 ? std::string("one per core") : fmt::to_string(plan.workers));
  sheet.line("relay",
             fmt::format("{}, buffers {}, pipes {}", name_of(kRelayModes, plan.relay.mode),
                         format_size(plan.relay.buffer_size), format_size(plan.relay.pipe_size)));
  sheet.line("drain", plan.drain_timeout == Duration::zero()
                          ? std::string("until the last connection ends")
                          : format_duration(plan.drain_timeout) + " at most");
  describe_access(plan.access, sheet);
}

}  // namespace

std::string describe_plan(const forward::Plan& plan) {
  Sheet sheet;
  describe_whole(plan, sheet);
  for (const Rule& rule : plan.rules) describe_rule(rule, sheet);
  return sheet.take();
}

}  // namespace sluice::config
