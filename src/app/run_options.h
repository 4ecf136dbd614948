// What `sluice run` was asked to do: every option, checked, with defaults filled in.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "policy/limits.h"
#include "policy/port_map.h"
#include "policy/rule.h"
#include "telemetry/log.h"
#include "wire/address.h"

namespace sluice::app {

// The guest's network in one family. All addresses are inside the subnet and distinct.
struct FamilyOptions {
  wire::IpAddress guest;
  std::uint8_t prefix_length = 0;
  wire::IpAddress gateway;
  wire::IpAddress dns;  // Not used with dns_relay == false.
};

enum class ReportFormat : std::uint8_t { kNone, kText, kJson };

inline constexpr std::uint16_t kMtuMin = 68;        // RFC 791: what every link must carry.
inline constexpr std::uint16_t kMtuMinV6 = 1280;    // RFC 8200, 5.
inline constexpr std::uint16_t kMtuMax = 65'520;    // 65,535 less the headers a tap adds, by 16.
inline constexpr std::uint16_t kMtuDefault = 1500;  // Offloads make larger ones unnecessary.
inline constexpr wire::MacAddress kGuestMac{{0x52, 0x54, 0x00, 0x12, 0x34, 0x56}};
inline constexpr wire::MacAddress kGatewayMac{{0x52, 0x54, 0x00, 0x12, 0x34, 0x01}};

struct RunOptions {
  std::optional<FamilyOptions> v4;  // Nothing with -6. At least one family is set.
  std::optional<FamilyOptions> v6;  // Nothing with -4.
  std::uint16_t mtu = kMtuDefault;
  wire::MacAddress guest_mac = kGuestMac;
  std::string interface = "tap0";

  bool dns_relay = true;       // --no-dns
  bool host_loopback = false;  // --host-loopback
  std::vector<policy::PortMap> publish;

  std::vector<policy::Rule> deny;
  std::vector<policy::Rule> allow;
  policy::LimitOptions limits;

  ReportFormat report = ReportFormat::kNone;
  std::string report_file;  // Empty: standard error.
  std::string flow_log;     // Empty: none; as is the next.
  std::string pcap;
  telemetry::LogLevel log_level = telemetry::LogLevel::kWarn;

  bool pid_namespace = false;        // --pid
  std::vector<std::string> command;  // Never empty: the user's shell if none was named.
};

// What is left to do when no command is to be run: print `text` and leave with `exit_code`.
// Exit code 0 is for standard output (--help, --version), 2 for standard error (a bad option).
struct EarlyExit {
  std::string text;
  int exit_code = 0;
};

// `arguments` are those after "run". `shell` is what to start if no command is named; a program
// passes getenv("SHELL"), and /bin/sh stands in if it is empty.
[[nodiscard]] std::expected<RunOptions, EarlyExit> parse_run_options(
    std::span<const char* const> arguments, std::string_view shell);

// What `sluice run --help` prints.
[[nodiscard]] std::string run_help();

}  // namespace sluice::app
