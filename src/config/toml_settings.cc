#include "config/toml_settings.h"

#include <net/if.h>

#include <limits>

#include "config/units.h"

namespace sluice::config {
namespace {

constexpr std::uint64_t kCountMax = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kRateMax = std::numeric_limits<std::int64_t>::max();
// The kernel takes no more (SOCK_MIN_RCVBUF is below, and it doubles what it is told).
constexpr std::uint64_t kSocketBufferMax = std::numeric_limits<std::int32_t>::max() / 2;
// MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL and MAX_TCP_KEEPCNT of the kernel.
constexpr Duration kKeepAliveMax = std::chrono::seconds{32'767};
constexpr std::uint64_t kProbesMax = 127;

enum class AccessKind : std::uint8_t { kAllow, kDeny };
constexpr Named<AccessKind> kAccessKinds[] = {
    {"allow", AccessKind::kAllow},
    {"deny", AccessKind::kDeny},
};

void read_device(TomlReader& reader, std::string_view key, std::string& into) {
  const auto name = reader.text(key);
  if (!name) return;
  if (name->empty() || name->size() >= IFNAMSIZ || name->find('/') != std::string::npos) {
    reader.wrong(
        key, fmt::format("is {}; expected the name of an interface as \"eth0\"", quoted(*name)));
    return;
  }
  into = *name;
}

// The kernel counts whole seconds.
void read_seconds(TomlReader& reader, std::string_view key, std::uint32_t& into) {
  const auto duration = reader.duration(key, std::chrono::seconds{1});
  if (!duration) return;
  if (*duration > kKeepAliveMax || *duration % std::chrono::seconds{1} != Duration::zero()) {
    reader.wrong(key, fmt::format("is {}; expected whole seconds, at most {}",
                                  format_duration(*duration), format_duration(kKeepAliveMax)));
    return;
  }
  into = static_cast<std::uint32_t>(*duration / std::chrono::seconds{1});
}

// A setting that is true, false, or a table of details, which turn it on.
const TomlTable* read_switch(TomlReader& reader, std::string_view key, bool& enabled) {
  const TomlEntry* const entry = reader.find(key);
  if (entry == nullptr) return nullptr;
  if (const bool* value = std::get_if<bool>(&entry->value.data)) {
    enabled = *value;
    return nullptr;
  }
  if (const auto* table = std::get_if<TomlTable>(&entry->value.data)) {
    enabled = true;
    return table;
  }
  reader.wrong(key, fmt::format("is {}; expected true, false, or a table of its settings",
                                kind_of(entry->value)));
  return nullptr;
}

void read_keepalive(TomlReader& rule, forward::KeepAlivePlan& into, Messages& messages) {
  const TomlTable* const table = read_switch(rule, "keepalive", into.enabled);
  if (table == nullptr) return;
  TomlReader reader(*table, "keepalive", messages);
  read_seconds(reader, "idle", into.idle_seconds);
  read_seconds(reader, "interval", into.interval_seconds);
  assign(into.count, reader.integer("count", 1, kProbesMax));
  reader.finish();
}

}  // namespace

void read_access(TomlReader& owner, std::string_view tables_key, policy::AccessList& into,
                 Messages& messages) {
  owner.patterns("allow", into.allow);
  owner.patterns("deny", into.deny);
  for (const TomlValue* value : owner.tables(tables_key)) {
    TomlReader reader(std::get<TomlTable>(value->data), tables_key, messages);
    const auto kind = reader.choice("type", kAccessKinds);
    const auto pattern = reader.text("pattern");
    const TomlEntry* const type_entry = reader.find("type");
    const TomlEntry* const pattern_entry = reader.find("pattern");
    if (type_entry == nullptr || pattern_entry == nullptr) {
      messages.error(value->line,
                     fmt::format("an access rule under [[{}]] has no '{}'; expected "
                                 "type = \"allow\" or \"deny\", and a pattern",
                                 tables_key, type_entry == nullptr ? "type" : "pattern"));
    } else if (kind && pattern) {
      add_pattern(*pattern, pattern_entry->value.line,
                  *kind == AccessKind::kAllow ? into.allow : into.deny, messages);
    }
    reader.finish();
  }
}

void read_timeouts(TomlReader& rule, forward::TimeoutPlan& into, Messages& messages) {
  const TomlTable* const table = rule.table("timeouts");
  if (table == nullptr) return;
  TomlReader reader(*table, "timeouts", messages);
  assign(into.connect, reader.duration("connect", kShortestWait));
  assign(into.idle, reader.duration("idle"));
  assign(into.half_closed, reader.duration("half_closed"));
  assign(into.udp_session, reader.duration("udp_session", kShortestWait));
  assign(into.proxy_header, reader.duration("proxy_header"));
  reader.finish();
}

void read_limits(TomlReader& rule, std::string_view key, forward::LimitPlan& into,
                 Messages& messages) {
  const TomlTable* const table = rule.table(key);
  if (table == nullptr) return;
  TomlReader reader(*table, key, messages);
  assign(into.connections, reader.integer("connections", 0, kCountMax));
  assign(into.new_per_second, reader.integer("new_per_second", 0, kCountMax));
  assign(into.to_target_rate, reader.size("to_target_rate", 0, kRateMax));
  assign(into.to_client_rate, reader.size("to_client_rate", 0, kRateMax));
  reader.finish();
}

void read_health(TomlReader& rule, forward::HealthPlan& into, Messages& messages) {
  const TomlTable* const table = read_switch(rule, "health", into.enabled);
  if (table == nullptr) return;
  TomlReader reader(*table, "health", messages);
  assign(into.interval, reader.duration("interval", std::chrono::milliseconds{10}));
  assign(into.timeout, reader.duration("timeout", kShortestWait));
  assign(into.rise, reader.integer("rise", 1, kCountMax));
  assign(into.fall, reader.integer("fall", 1, kCountMax));
  reader.finish();
}

void read_socket(TomlReader& reader, forward::SocketPlan& into, Messages& messages) {
  read_device(reader, "listen_device", into.listen_device);
  read_device(reader, "target_device", into.target_device);
  if (const auto mark = reader.integer("mark", 0, kCountMax)) {
    into.mark = static_cast<std::uint32_t>(*mark);
  }
  if (const auto source = reader.address("source_address")) into.source = *source;
  assign(into.transparent, reader.boolean("transparent"));
  assign(into.fast_open, reader.boolean("fast_open"));
  assign(into.multipath, reader.boolean("multipath"));
  assign(into.receive_buffer, reader.size("receive_buffer", 0, kSocketBufferMax));
  assign(into.send_buffer, reader.size("send_buffer", 0, kSocketBufferMax));
  read_keepalive(reader, into.keepalive, messages);
}

}  // namespace sluice::config
