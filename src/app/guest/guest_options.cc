#include "app/guest/guest_options.h"

#include <fmt/core.h>

#include <array>
#include <limits>
#include <utility>

#include "app/guest/network_options.h"
#include "app/guest/policy_options.h"
#include "app/guest/published_options.h"
#include "app/options/interface_name.h"
#include "app/options/log_level_option.h"
#include "app/options/number_option.h"
#include "wire/ip/nat64.h"

namespace sluice::app {
namespace {

using Checked = std::expected<void, Mistake>;

Checked read_nat64(const std::vector<std::string>& texts, GuestOptions& options) {
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

// An address where it is one, else an interface, for both families.
Checked read_outbound(const std::vector<std::string>& texts, GuestOptions& options) {
  for (const std::string& text : texts) {
    const auto address = wire::parse_ip(text);
    if (!address) {
      if (!is_interface_name(text)) {
        return fail("--outbound: '{}' is neither an IP address nor an interface", text);
      }
      if (!options.outbound.v4.device.empty()) {
        return fail("--outbound: '{}' is a second interface after '{}'", text,
                    options.outbound.v4.device);
      }
      options.outbound.v4.device = text;
      options.outbound.v6.device = text;
      continue;
    }
    auto& way = address->is_v4() ? options.outbound.v4 : options.outbound.v6;
    if (way.address) {
      return fail("--outbound: '{}' is a second {} address; expected one of each family", text,
                  address->is_v4() ? "IPv4" : "IPv6");
    }
    way.address = *address;
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

Checked read_workers(const RawOptions& raw, GuestOptions& options) {
  for (const std::string& text : raw.all(OptionId::kWorkers)) {
    const auto workers =
        parse_number<std::uint32_t>("--workers", text, 1, GuestOptions::kWorkersMax);
    if (!workers) return std::unexpected(workers.error());
    options.workers = *workers;
  }
  return {};
}

Checked read_report(const RawOptions& raw, GuestOptions& options) {
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

Checked read_files(const RawOptions& raw, GuestOptions& options) {
  struct File {
    OptionId id;
    std::string_view option;
    std::string* path;
  };
  const std::array files{File{OptionId::kReportFile, "--report-file", &options.report_file},
                         File{OptionId::kFlowLog, "--flow-log", &options.flow_log},
                         File{OptionId::kEvents, "--events", &options.events},
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

// "9100", "127.0.0.1:9100" or "[::1]:9100".
Checked read_metrics(const std::vector<std::string>& texts, GuestOptions& options) {
  for (const std::string& text : texts) {
    const bool whole = text.find(':') != std::string::npos;
    const auto endpoint = wire::parse_endpoint(whole ? text : "127.0.0.1:" + text);
    if (!endpoint) {
      return fail(
          "--metrics: '{}' is not a port; expected one as 9100, 127.0.0.1:9100 or [::1]:9100",
          text);
    }
    options.metrics = *endpoint;
  }
  return {};
}

Checked read_trace(const RawOptions& raw, GuestOptions& options) {
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
  const std::array others{
      std::pair{"--report-file", &options.report_file}, std::pair{"--flow-log", &options.flow_log},
      std::pair{"--events", &options.events}, std::pair{"--pcap", &options.pcap}};
  for (const auto& [option, file] : others) {
    if (options.trace_file != *file) continue;
    return fail("--trace: '{}' is the file of {} already", options.trace_file, option);
  }
  return {};
}

// After network_options(), which checked these.
void note_chosen(const RawOptions& raw, GuestOptions& options) {
  for (const OptionId id : {OptionId::kAddress, OptionId::kGateway, OptionId::kDns}) {
    for (const std::string& text : raw.all(id)) {
      const bool is_v6 = text.find(':') != std::string::npos;
      (is_v6 ? options.chosen_v6 : options.chosen_v4) = true;
    }
  }
}

}  // namespace

std::expected<void, Mistake> read_guest_options(const RawOptions& raw, std::uint16_t default_mtu,
                                                GuestOptions& options) {
  options.host_loopback = raw.has(OptionId::kHostLoopback);
  options.host_addresses = raw.has(OptionId::kHostAddresses);
  auto network = network_options(raw, default_mtu);
  if (!network) return std::unexpected(network.error());
  options.network = std::move(*network);
  note_chosen(raw, options);
  if (auto ok = read_published(raw, options); !ok) return ok;
  if (auto ok = read_outbound(raw.all(OptionId::kOutbound), options); !ok) return ok;
  if (auto ok = read_policy_options(raw, options); !ok) return ok;
  if (auto ok = read_nat64(raw.all(OptionId::kNat64Prefix), options); !ok) return ok;
  if (auto ok = read_limits(raw, options.limits); !ok) return ok;
  if (auto ok = read_workers(raw, options); !ok) return ok;
  if (auto ok = read_report(raw, options); !ok) return ok;
  if (auto ok = read_files(raw, options); !ok) return ok;
  if (auto ok = read_metrics(raw.all(OptionId::kMetrics), options); !ok) return ok;
  if (auto ok = read_trace(raw, options); !ok) return ok;
  if (options.trace != nullptr && options.workers.value_or(1) > 1) {
    return fail("--trace: a timeline is of one worker; expected it without --workers");
  }
  auto level = log_level_option(raw);
  if (!level) return std::unexpected(std::move(level.error()));
  options.log_level = *level;
  return {};
}

}  // namespace sluice::app
