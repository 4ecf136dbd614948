// What `sluice run` was asked to do: every option, checked, with defaults filled in.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/options/early_exit.h"
#include "flow/core/guest_network.h"
#include "policy/fast_path_use.h"
#include "policy/limits.h"
#include "policy/port_map.h"
#include "policy/rule.h"
#include "telemetry/log.h"
#include "telemetry/snapshot.h"
#include "telemetry/trace/trace_target.h"

namespace sluice::app {

inline constexpr std::uint16_t kMtuMin = 68;        // RFC 791: what every link must carry.
inline constexpr std::uint16_t kMtuMinV6 = 1280;    // RFC 8200, 5.
inline constexpr std::uint16_t kMtuMax = 65'520;    // 65,535 less the headers a tap adds, by 16.
inline constexpr std::uint16_t kMtuDefault = 1500;  // Offloads make larger ones unnecessary.

struct RunOptions {
  // Families, addresses, MTU, MAC and whether DNS is relayed. At least one family is on; its
  // addresses are distinct and in one subnet. Search domains and the host's name are not set here.
  flow::GuestNetwork network;
  // Whether the user named an address of that family's network.
  bool chosen_v4 = false;
  bool chosen_v6 = false;
  std::string interface = "tap0";

  bool host_loopback = false;   // --host-loopback
  bool host_addresses = false;  // --host-addresses
  std::vector<wire::Prefix> nat64_prefixes;
  std::vector<policy::PortMap> publish;

  std::vector<policy::Rule> deny;
  std::vector<policy::Rule> allow;
  policy::LimitOptions limits;

  telemetry::ReportFormat report = telemetry::ReportFormat::kNone;
  std::string report_file;  // Empty: standard error.
  std::string flow_log;     // Empty: none; as is the next.
  std::string pcap;
  const telemetry::TraceTarget* trace = nullptr;  // --trace; null: none.
  std::string trace_file;                         // Empty: standard error.
  telemetry::LogLevel log_level = telemetry::LogLevel::kWarn;

  policy::FastPathUse fast_path = policy::FastPathUse::kAuto;  // --fast-path
  bool as_root = false;                                        // --as-root
  bool pid_namespace = false;                                  // --pid
  std::vector<std::string> command;  // Never empty: the user's shell if none was named.
};

// `arguments` are those after "run". `shell` is what to start if no command is named; a program
// passes getenv("SHELL"), and /bin/sh stands in if it is empty.
[[nodiscard]] std::expected<RunOptions, EarlyExit> parse_run_options(
    std::span<const char* const> arguments, std::string_view shell);

}  // namespace sluice::app
