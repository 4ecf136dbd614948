#include "app/forward/forward_options.h"

#include <string_view>
#include <utility>

#include "app/forward/forward_rules.h"
#include "app/options/command.h"
#include "app/options/help.h"
#include "app/options/log_level_option.h"
#include "app/options/number_option.h"
#include "app/options/raw_options.h"
#include "app/options/value_option.h"

namespace sluice::app {
namespace {

using Checked = std::expected<void, Mistake>;

// More threads than any machine has cores are a slip of the finger.
constexpr std::uint32_t kWorkersMax = 1024;

Checked read_source(const RawOptions& raw, ForwardOptions& options) {
  for (const std::string& text : raw.all(OptionId::kConfig)) {
    if (text.empty()) return fail("--config: the name of the file is empty");
    options.config_file = text;
  }
  if (options.config_file.empty()) {
    auto rules = command_line_rules(raw);
    if (!rules) return std::unexpected(std::move(rules.error()));
    options.rules = std::move(*rules);
    return {};
  }
  if (!raw.words.empty()) {
    return fail("'{}': rules of the command line and --config exclude each other",
                raw.words.front());
  }
  return refuse_rule_options(raw);
}

Checked read_patterns(const RawOptions& raw, OptionId id, std::string_view option,
                      std::vector<policy::AddressPattern>& patterns) {
  for (const std::string& text : raw.all(id)) {
    auto pattern = policy::AddressPattern::parse(text);
    if (!pattern) {
      return fail("{}: '{}' is not an address pattern; expected {}", option, text,
                  pattern.error().expected);
    }
    patterns.push_back(std::move(*pattern));
  }
  return {};
}

Checked read_relay(const RawOptions& raw, PlanOverrides& overrides) {
  for (const std::string& text : raw.all(OptionId::kRelay)) {
    const auto mode = parse_named("--relay", text, config::kRelayModes);
    if (!mode) return std::unexpected(mode.error());
    overrides.relay = *mode;
  }
  for (const std::string& text : raw.all(OptionId::kBufferSize)) {
    const auto size =
        parse_size("--buffer-size", text, relay::kBufferSizeMin, relay::kBufferSizeMax);
    if (!size) return std::unexpected(size.error());
    overrides.buffer_size = *size;
  }
  return {};
}

Checked read_running(const RawOptions& raw, PlanOverrides& overrides) {
  for (const std::string& text : raw.all(OptionId::kWorkers)) {
    const auto number = parse_number<std::uint32_t>("--workers", text, 0, kWorkersMax);
    if (!number) return std::unexpected(number.error());
    overrides.workers = *number;
  }
  for (const std::string& text : raw.all(OptionId::kDrainTimeout)) {
    const auto time = parse_time("--drain-timeout", text, Duration{});
    if (!time) return std::unexpected(time.error());
    overrides.drain_timeout = *time;
  }
  return {};
}

Checked read_files(const RawOptions& raw, ForwardOptions& options) {
  PlanOverrides& overrides = options.overrides;
  const auto read = [&](OptionId id, std::string_view option,
                        std::optional<std::string>& path) -> Checked {
    for (const std::string& text : raw.all(id)) {
      if (text.empty()) return fail("{}: the name of the file is empty", option);
      path = text;
    }
    return {};
  };
  if (auto ok = read(OptionId::kLogFile, "--log-file", overrides.log_file); !ok) return ok;
  if (auto ok = read(OptionId::kPidFile, "--pid-file", overrides.pid_file); !ok) return ok;
  std::optional<std::string> events;
  if (auto ok = read(OptionId::kEvents, "--events", events); !ok) return ok;
  options.events_file = events.value_or("");
  if (events && (events == overrides.log_file || events == overrides.pid_file)) {
    return fail("--events: '{}' is the file of another option already", *events);
  }
  for (const std::string& text : raw.all(OptionId::kUser)) {
    if (text.empty() || text.front() == ':' || text.back() == ':') {
      return fail("--user: '{}' is no user; expected NAME or NAME:GROUP", text);
    }
    options.user = text;
  }
  if (overrides.log_file && overrides.log_file == overrides.pid_file) {
    return fail("--pid-file: '{}' is the file of --log-file already", *overrides.pid_file);
  }

  for (const std::string& text : raw.all(OptionId::kLogFormat)) {
    const auto format = parse_named("--log-format", text, config::kLogFormats);
    if (!format) return std::unexpected(format.error());
    overrides.log_format = *format;
  }
  // A file may name the log that the format is for.
  if (overrides.log_format && !overrides.log_file && options.config_file.empty()) {
    return fail("--log-format: there is no log to be written so; expected --log-file FILE, too");
  }
  return {};
}

Checked read_check(const RawOptions& raw, ForwardOptions& options) {
  for (const std::string& text : raw.all(OptionId::kCheck)) {
    if (text == "json") {
      options.check = CheckFormat::kJson;
    } else if (text == "text") {
      options.check = CheckFormat::kText;
    } else {
      return fail("--check: '{}' is not a format; expected text or json", text);
    }
  }
  return {};
}

Checked interpret(const RawOptions& raw, ForwardOptions& options) {
  PlanOverrides& overrides = options.overrides;
  if (auto ok = read_source(raw, options); !ok) return ok;
  policy::AccessList& access = overrides.access;
  if (auto ok = read_patterns(raw, OptionId::kAllow, "--allow", access.allow); !ok) return ok;
  if (auto ok = read_patterns(raw, OptionId::kDeny, "--deny", access.deny); !ok) return ok;
  if (auto ok = read_relay(raw, overrides); !ok) return ok;
  if (auto ok = read_running(raw, overrides); !ok) return ok;
  if (auto ok = read_files(raw, options); !ok) return ok;
  if (auto ok = read_check(raw, options); !ok) return ok;
  auto level = log_level_option(raw);
  if (!level) return std::unexpected(std::move(level.error()));
  options.log_level = *level;
  options.watch = !raw.has(OptionId::kNoWatch);
  options.verbose = raw.has(OptionId::kVerbose);
  return {};
}

template <typename T>
void override_with(const std::optional<T>& given, T& value) {
  if (given) value = *given;
}

}  // namespace

void PlanOverrides::apply(forward::Plan& plan) const {
  override_with(relay, plan.relay.mode);
  override_with(buffer_size, plan.relay.buffer_size);
  override_with(workers, plan.workers);
  override_with(drain_timeout, plan.drain_timeout);
  override_with(log_file, plan.log_file);
  override_with(log_format, plan.log_format);
  override_with(pid_file, plan.pid_file);
  plan.access.allow.insert(plan.access.allow.end(), access.allow.begin(), access.allow.end());
  plan.access.deny.insert(plan.access.deny.end(), access.deny.begin(), access.deny.end());
}

std::expected<ForwardOptions, EarlyExit> parse_forward_options(
    std::span<const char* const> arguments) {
  const auto wrong = [](const Mistake& mistake) {
    return std::unexpected(usage_error(kForwardCommand.program, mistake));
  };
  const auto raw = split_arguments(kForwardCommand, arguments);
  if (!raw) return wrong(raw.error());
  if (const auto exit = help_or_version(kForwardCommand, *raw)) return std::unexpected(*exit);
  ForwardOptions options;
  if (auto ok = interpret(*raw, options); !ok) return wrong(ok.error());
  return options;
}

}  // namespace sluice::app
