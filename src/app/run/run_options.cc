#include "app/run/run_options.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "app/options/command.h"
#include "app/options/help.h"
#include "app/options/log_level_option.h"
#include "app/options/number_option.h"
#include "app/options/raw_options.h"
#include "app/options/value_option.h"
#include "app/run/network_options.h"
#include "wire/ip/nat64.h"

namespace sluice::app {
namespace {

using Checked = std::expected<void, Mistake>;

constexpr config::Named<policy::FastPathUse> kFastPaths[] = {
    {"auto", policy::FastPathUse::kAuto},
    {"off", policy::FastPathUse::kOff},
    {"require", policy::FastPathUse::kRequire}};

Checked read_rules(std::string_view option, const std::vector<std::string>& texts,
                   std::vector<policy::Rule>& rules) {
  for (const std::string& text : texts) {
    auto rule = policy::parse_rule(text);
    if (!rule) {
      return fail("{}: '{}' is not a rule; expected {}", option, text, rule.error().expected);
    }
    rules.push_back(std::move(*rule));
  }
  return {};
}

Checked read_publish(const std::vector<std::string>& texts, RunOptions& options) {
  for (const std::string& text : texts) {
    const auto map = policy::parse_port_map(text);
    if (!map) {
      return fail("--publish: '{}' is not a port to publish; expected {}", text,
                  map.error().expected);
    }
    if (const auto& address = map->address) {
      const bool is_v4 = address->is_v4();
      if (!(is_v4 ? options.network.ipv4 : options.network.ipv6)) {
        return fail("--publish: '{}' is {}, which {} switches off", text, is_v4 ? "IPv4" : "IPv6",
                    is_v4 ? "-6" : "-4");
      }
    }
    for (const policy::PortMap& other : options.publish) {
      if (collide(*map, other)) {
        return fail("--publish: '{}' needs a port of the host that '{}' has", text,
                    policy::to_string(other));
      }
    }
    options.publish.push_back(*map);
  }
  return {};
}

Checked read_nat64(const std::vector<std::string>& texts, RunOptions& options) {
  for (const std::string& text : texts) {
    const auto prefix = wire::parse_prefix(text);
    if (!prefix || prefix->address.is_v4() || !wire::is_nat64_length(prefix->length)) {
      return fail(
          "--nat64-prefix: '{}' is not a NAT64 prefix; expected one as 2001:db8:64::/96, of "
          "length 32, 40, 48, 56, 64 or 96",
          text);
    }
    options.nat64_prefixes.push_back(*prefix);
  }
  return {};
}

// The kernel's rules for the name of an interface: dev_valid_name() and IFNAMSIZ.
bool is_interface_name(std::string_view name) {
  constexpr std::size_t kLongest = 15;
  if (name.empty() || name.size() > kLongest || name == "." || name == "..") return false;
  return std::none_of(name.begin(), name.end(), [](char c) {
    // '%' would have the kernel choose a number.
    return c == '/' || c == ':' || c == '%' || c <= ' ' || c == '\x7f';
  });
}

Checked read_interface(const std::vector<std::string>& texts, RunOptions& options) {
  for (const std::string& text : texts) {
    if (!is_interface_name(text) || text == "lo") {
      return fail(
          "--interface: '{}' cannot name the guest's interface; expected 1 to 15 characters "
          "without '/', ':', '%' or spaces, and not 'lo'",
          text);
    }
    options.interface = text;
  }
  return {};
}

Checked read_limits(const RawOptions& raw, policy::LimitOptions& limits) {
  constexpr std::uint32_t kMax = std::numeric_limits<std::uint32_t>::max();
  const auto read = [&](OptionId id, std::string_view option, std::uint32_t& value) -> Checked {
    for (const std::string& text : raw.all(id)) {
      const auto number = parse_number<std::uint32_t>(option, text, 0, kMax);
      if (!number) return std::unexpected(number.error());
      value = *number;
    }
    return {};
  };
  if (auto ok = read(OptionId::kMaxFlows, "--max-flows", limits.max_flows); !ok) return ok;
  return read(OptionId::kNewFlowsPerSecond, "--new-flows-per-second", limits.new_flows_per_second);
}

Checked read_report(const RawOptions& raw, RunOptions& options) {
  for (const std::string& text : raw.all(OptionId::kReport)) {
    if (text == "json") {
      options.report = telemetry::ReportFormat::kJson;
    } else if (text == "text") {
      options.report = telemetry::ReportFormat::kText;
    } else {
      return fail("--report: '{}' is not a format; expected text or json", text);
    }
  }
  if (raw.has(OptionId::kReportFile) && options.report == telemetry::ReportFormat::kNone) {
    options.report = telemetry::ReportFormat::kText;
  }
  return {};
}

Checked read_files(const RawOptions& raw, RunOptions& options) {
  struct File {
    OptionId id;
    std::string_view option;
    std::string* path;
  };
  const std::array files{File{OptionId::kReportFile, "--report-file", &options.report_file},
                         File{OptionId::kFlowLog, "--flow-log", &options.flow_log},
                         File{OptionId::kPcap, "--pcap", &options.pcap}};
  for (std::size_t i = 0; i < files.size(); ++i) {
    const File& file = files[i];
    for (const std::string& text : raw.all(file.id)) {
      if (text.empty()) return fail("{}: the name of the file is empty", file.option);
      *file.path = text;
    }
    if (file.path->empty()) continue;
    for (std::size_t j = 0; j < i; ++j) {
      if (*file.path != *files[j].path) continue;
      return fail("{}: '{}' is the file of {} already", file.option, *file.path, files[j].option);
    }
  }
  return {};
}

Checked read_trace(const RawOptions& raw, RunOptions& options) {
  for (const std::string& text : raw.all(OptionId::kTrace)) {
    const std::size_t colon = text.find(':');
    const std::string name = text.substr(0, colon);
    options.trace = telemetry::find_trace_target(name);
    if (options.trace == nullptr) {
      std::string known;
      for (const telemetry::TraceTarget& target : telemetry::kTraceTargets) {
        known += fmt::format("{}{}", known.empty() ? "" : ", ", target.name);
      }
      return fail(
          "--trace: '{}' is nothing that can be traced; expected {}, or with a file {}:FILE", name,
          known, telemetry::kTraceTargets.front().name);
    }
    options.trace_file.clear();
    if (colon == std::string::npos) continue;
    options.trace_file = text.substr(colon + 1);
    if (options.trace_file.empty()) {
      return fail("--trace: the name of the file is empty; expected {}:FILE", name);
    }
  }
  if (options.trace_file.empty()) return {};
  const std::array others{std::pair{"--report-file", &options.report_file},
                          std::pair{"--flow-log", &options.flow_log},
                          std::pair{"--pcap", &options.pcap}};
  for (const auto& [option, file] : others) {
    if (options.trace_file != *file) continue;
    return fail("--trace: '{}' is the file of {} already", options.trace_file, option);
  }
  return {};
}

Checked read_fast_path(const RawOptions& raw, RunOptions& options) {
  for (const std::string& text : raw.all(OptionId::kFastPath)) {
    const auto when = parse_named("--fast-path", text, kFastPaths);
    if (!when) return std::unexpected(when.error());
    options.fast_path = *when;
  }
  return {};
}

// After network_options(), which checked these.
void note_chosen(const RawOptions& raw, RunOptions& options) {
  for (const OptionId id : {OptionId::kAddress, OptionId::kGateway, OptionId::kDns}) {
    for (const std::string& text : raw.all(id)) {
      const bool is_v6 = text.find(':') != std::string::npos;
      (is_v6 ? options.chosen_v6 : options.chosen_v4) = true;
    }
  }
}

Checked interpret(const RawOptions& raw, RunOptions& options) {
  auto network = network_options(raw);
  if (!network) return std::unexpected(network.error());
  options.network = std::move(*network);
  note_chosen(raw, options);
  if (auto ok = read_interface(raw.all(OptionId::kInterface), options); !ok) return ok;
  if (auto ok = read_publish(raw.all(OptionId::kPublish), options); !ok) return ok;
  if (auto ok = read_rules("--deny", raw.all(OptionId::kDeny), options.deny); !ok) return ok;
  if (auto ok = read_rules("--allow", raw.all(OptionId::kAllow), options.allow); !ok) return ok;
  if (auto ok = read_nat64(raw.all(OptionId::kNat64Prefix), options); !ok) return ok;
  if (auto ok = read_limits(raw, options.limits); !ok) return ok;
  if (auto ok = read_report(raw, options); !ok) return ok;
  if (auto ok = read_files(raw, options); !ok) return ok;
  if (auto ok = read_trace(raw, options); !ok) return ok;
  if (auto ok = read_fast_path(raw, options); !ok) return ok;
  auto level = log_level_option(raw);
  if (!level) return std::unexpected(std::move(level.error()));
  options.log_level = *level;
  return {};
}

}  // namespace

std::expected<RunOptions, EarlyExit> parse_run_options(std::span<const char* const> arguments,
                                                       std::string_view shell) {
  const auto wrong = [](const Mistake& mistake) {
    return std::unexpected(usage_error(kRunCommand.program, mistake));
  };
  auto raw = split_arguments(kRunCommand, arguments);
  if (!raw) return wrong(raw.error());
  if (const auto exit = help_or_version(kRunCommand, *raw)) return std::unexpected(*exit);

  RunOptions options;
  options.host_loopback = raw->has(OptionId::kHostLoopback);
  options.host_addresses = raw->has(OptionId::kHostAddresses);
  options.as_root = raw->has(OptionId::kAsRoot);
  options.pid_namespace = raw->has(OptionId::kPid);
  if (auto ok = interpret(*raw, options); !ok) return wrong(ok.error());

  options.command = std::move(raw->words);
  if (options.command.empty()) options.command.emplace_back(shell.empty() ? "/bin/sh" : shell);
  if (options.command.front().empty()) {
    return wrong({"the command's name is empty; expected a program, as in 'sluice run -- curl …'"});
  }
  return options;
}

}  // namespace sluice::app
