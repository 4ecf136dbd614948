// The TOML form: oxidinetd's keys, and ours beside them.
#include <utility>

#include "config/forward_config.h"
#include "config/messages.h"
#include "config/rule_checks.h"
#include "config/toml_reader.h"
#include "config/toml_rule.h"
#include "config/toml_settings.h"
#include "config/toml_value.h"

namespace sluice::config {
namespace {

constexpr std::uint64_t kWorkersMax = 1024;
constexpr std::uint64_t kPipeSizeMin = 4096;  // One page: the kernel's least.

void read_relay(TomlReader& reader, relay::Options& into) {
  assign(into.mode, reader.choice("relay", kRelayModes));
  assign(into.buffer_size,
         reader.size("buffer_size", relay::kBufferSizeMin, relay::kBufferSizeMax));
  assign(into.pipe_size, reader.size("pipe_size", kPipeSizeMin, relay::kBufferSizeMax));
}

}  // namespace

std::expected<LoadedPlan, ConfigErrors> parse_forward_toml(std::string_view text,
                                                           const std::string& file) {
  Messages messages(file);
  const auto document = parse_toml(text);
  if (!document) {
    messages.error(document.error().line, "not TOML: " + document.error().text);
    return std::unexpected(messages.take_all());
  }
  forward::Plan plan;
  TomlReader reader(*document, "", messages);
  assign(plan.log_file, reader.text("log_file"));
  assign(plan.log_format, reader.choice("log_format", kLogFormats));
  assign(plan.pid_file, reader.text("pid_file"));
  assign(plan.workers, reader.integer("workers", 0, kWorkersMax));
  assign(plan.drain_timeout, reader.duration("drain_timeout"));
  read_relay(reader, plan.relay);
  read_access(reader, "global_rules", plan.access, messages);
  if (reader.find("forwarding_rules") == nullptr) {
    messages.error(0,
                   "there are no rules; expected [[forwarding_rules]] tables, or "
                   "'forwarding_rules = []' for none");
  }
  for (const TomlValue* value : reader.tables("forwarding_rules")) {
    auto rule = read_toml_rule(std::get<TomlTable>(value->data), value->line, messages);
    if (rule) plan.rules.push_back(std::move(*rule));
  }
  reader.finish();
  return finish_plan(std::move(plan), std::move(messages));
}

}  // namespace sluice::config
