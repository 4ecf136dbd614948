#include "config/toml_rule.h"

#include <fmt/core.h>

#include <utility>

#include "config/place_text.h"
#include "config/toml_reader.h"
#include "config/toml_settings.h"

namespace sluice::config {
namespace {

using forward::Place;
using forward::Rule;
using policy::Protocol;

constexpr std::uint32_t kWeightMax = 10'000;

struct Protocols {
  Protocol listen = Protocol::kTcp;
  Protocol target = Protocol::kTcp;
};
constexpr Named<Protocols> kProtocols[] = {
    {"tcp", {Protocol::kTcp, Protocol::kTcp}},
    {"udp", {Protocol::kUdp, Protocol::kUdp}},
    {"udptotcp", {Protocol::kUdp, Protocol::kTcp}},
    {"tcptoudp", {Protocol::kTcp, Protocol::kUdp}},
};

// Reads from where to where. What it says about a place stands on the line of its key.
class PlaceReader {
 public:
  PlaceReader(TomlReader& reader, unsigned line, Messages& messages)
      : reader_(&reader), line_(line), messages_(&messages) {
    protocols_ = reader.choice("protocol", kProtocols);
    protocol_given_ = reader.find("protocol") != nullptr;
  }

  [[nodiscard]] bool read(Rule& rule) {
    const bool listens = read_listener(rule.listen);
    // Without "protocol" the targets follow the listener.
    target_protocol_ = protocols_ ? protocols_->target : rule.listen.protocol;
    const bool leads = read_targets(rule.targets);
    return listens && leads && protocol_given_ == protocols_.has_value();
  }

 private:
  bool fail(unsigned line, std::string text) {
    messages_->error(line, std::move(text));
    return false;
  }

  bool read_listener(Place& into) {
    const TomlEntry* const listen = reader_->find("listen");
    const bool reference = has_either("bind_address", "bind_port");
    const Protocol protocol = protocols_.value_or(Protocols{}).listen;
    if (listen != nullptr && reference) {
      return fail(listen->line,
                  "'listen' stands beside bind_address or bind_port; expected one of "
                  "the two forms");
    }
    if (listen != nullptr) {
      const auto text = reader_->text("listen");
      return text && read_place("listen", *text, listen->line, Side::kListen, protocol, into);
    }
    if (reference) return read_pair("bind_address", "bind_port", Side::kListen, protocol, into);
    return fail(line_,
                "the rule has no listener; expected listen = \"tcp://[::]:8080\", or "
                "bind_address and bind_port");
  }

  bool read_targets(std::vector<forward::Target>& into) {
    const TomlEntry* const targets = reader_->find("targets");
    const bool reference = has_either("connect_address", "connect_port");
    if (targets != nullptr && reference) {
      return fail(targets->line,
                  "'targets' stands beside connect_address or connect_port; expected "
                  "one of the two forms");
    }
    if (reference) {
      forward::Target target;
      const bool good = read_pair("connect_address", "connect_port", Side::kTarget,
                                  target_protocol_, target.place);
      into.push_back(std::move(target));
      return good;
    }
    if (targets == nullptr) {
      return fail(line_,
                  "the rule has no target; expected targets = [\"10.0.0.2:80\"], or "
                  "connect_address and connect_port");
    }
    const auto* const array = std::get_if<TomlArray>(&targets->value.data);
    if (array == nullptr) return read_target(targets->value, into);
    if (array->empty()) return fail(targets->line, "'targets' is empty; expected one at least");
    bool good = true;
    for (const TomlValue& value : *array) good = read_target(value, into) && good;
    return good;
  }

  bool read_target(const TomlValue& value, std::vector<forward::Target>& into) {
    forward::Target target;
    bool good = false;
    if (const auto* text = std::get_if<std::string>(&value.data)) {
      good =
          read_place("targets", *text, value.line, Side::kTarget, target_protocol_, target.place);
    } else if (const auto* table = std::get_if<TomlTable>(&value.data)) {
      TomlReader reader(*table, "targets", *messages_);
      const auto to = reader.text("to");
      if (!to && reader.find("to") == nullptr) {
        fail(value.line, "a target has no address; expected {to = \"10.0.0.2:80\", weight = 1}");
      }
      good = to && read_place("targets.to", *to, value.line, Side::kTarget, target_protocol_,
                              target.place);
      assign(target.weight, reader.integer("weight", 0, kWeightMax));
      reader.finish();
    } else {
      fail(value.line, fmt::format("'targets' holds {}; expected \"10.0.0.2:80\" or {{to = "
                                   "\"10.0.0.2:80\", weight = 1}}",
                                   kind_of(value)));
    }
    into.push_back(std::move(target));
    return good;
  }

  bool read_place(std::string_view key, std::string_view text, unsigned line, Side side,
                  Protocol protocol, Place& into) {
    auto place = parse_place(text, side, protocol);
    if (!place) return fail(line, fmt::format("'{}': {}", key, place.error()));
    if (protocols_ && place->protocol != protocol) {
      return fail(line, fmt::format("'{}': {} is not what 'protocol' says; remove 'protocol'", key,
                                    quoted(text)));
    }
    into = std::move(*place);
    return true;
  }

  // The form of oi: an address and a port.
  bool read_pair(std::string_view address_key, std::string_view port_key, Side side,
                 Protocol protocol, Place& into) {
    const auto address = reader_->text(address_key);
    const auto ports = read_ports(port_key, protocol);
    for (const std::string_view key : {address_key, port_key}) {
      if (reader_->find(key) == nullptr) {
        fail(line_, fmt::format("the rule has no '{}'; expected it beside '{}'", key,
                                key == address_key ? port_key : address_key));
      }
    }
    if (!address || !ports) return false;
    auto host = parse_host(*address, side);
    if (!host) {
      reader_->wrong(address_key, fmt::format("is wrong: {}", host.error()));
      return false;
    }
    into.protocol = protocol;
    into.host = std::move(host->text);
    into.scope_id = host->scope_id;
    into.port = ports->first;
    into.port_count = ports->count;
    return true;
  }

  // A number, or text: a range or the name of a service.
  std::optional<PortRange> read_ports(std::string_view key, Protocol protocol) {
    const TomlEntry* const entry = reader_->find(key);
    if (entry == nullptr) return std::nullopt;
    if (std::holds_alternative<std::int64_t>(entry->value.data)) {
      const auto port = reader_->integer(key, 1, 65'535);
      if (!port) return std::nullopt;
      return PortRange{static_cast<std::uint16_t>(*port), 1};
    }
    const auto text = reader_->text(key);
    if (!text) return std::nullopt;
    const auto ports = parse_ports(*text, protocol);
    if (ports) return *ports;
    reader_->wrong(key, fmt::format("is wrong: {}", ports.error()));
    return std::nullopt;
  }

  // Asks for both, so that neither is unknown.
  bool has_either(std::string_view a, std::string_view b) {
    const bool has_a = reader_->find(a) != nullptr;
    return reader_->find(b) != nullptr || has_a;
  }

  TomlReader* reader_;
  unsigned line_;
  Messages* messages_;
  std::optional<Protocols> protocols_;
  bool protocol_given_ = false;
  Protocol target_protocol_ = Protocol::kTcp;
};

// The one timeout of oi: of sessions where there are datagrams, else of idle connections.
void read_reference_timeout(TomlReader& reader, Rule& rule) {
  // Of a rule whose targets have a mistake only the value is checked.
  const bool any_udp = rule.listens_udp() || (!rule.targets.empty() && rule.targets_udp());
  const auto timeout = reader.duration("timeout", any_udp ? kShortestWait : Duration::zero());
  assign(any_udp ? rule.timeouts.udp_session : rule.timeouts.idle, timeout);
}

}  // namespace

std::optional<Rule> read_toml_rule(const TomlTable& table, unsigned line, Messages& messages) {
  Rule rule;
  rule.where = {messages.file(), line};
  TomlReader reader(table, "", messages);
  const bool is_placed = PlaceReader(reader, line, messages).read(rule);

  assign(rule.name, reader.text("name"));
  assign(rule.balance, reader.choice("balance", kBalances));
  read_access(reader, "rules", rule.access, messages);
  if (const auto required = reader.boolean("proxy_protocol_in")) {
    rule.proxy_in = *required ? forward::ProxyIn::kRequired : forward::ProxyIn::kOff;
  }
  reader.patterns("proxy_protocol_from", rule.proxy_from);
  assign(rule.proxy_out, reader.choice("proxy_protocol_out", kProxyVersions));
  assign(rule.framing, reader.choice("framing", kFramings));
  if (const auto mode = reader.choice("relay", kRelayModes)) rule.relay = *mode;
  read_reference_timeout(reader, rule);
  read_timeouts(reader, rule.timeouts, messages);
  read_limits(reader, "limits", rule.limits, messages);
  read_limits(reader, "client_limits", rule.client_limits, messages);
  read_health(reader, rule.health, messages);
  read_socket(reader, rule.socket, messages);
  reader.finish();
  if (!is_placed) return std::nullopt;
  return rule;
}

}  // namespace sluice::config
