// The options of `sluice run`: the one list from which the parser and --help are made, and against
// which the manual page and the completions are tested.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace sluice::app {

enum class OptionId : std::uint8_t {
  kAddress,
  kGateway,
  kDns,
  kNoDns,
  kOnlyV4,
  kOnlyV6,
  kMtu,
  kMac,
  kInterface,
  kPublish,
  kHostLoopback,
  kDeny,
  kAllow,
  kMaxFlows,
  kNewFlowsPerSecond,
  kReport,
  kReportFile,
  kFlowLog,
  kPcap,
  kTrace,
  kLogLevel,
  kVerbose,
  kPid,
  kHelp,
  kVersion,
};

enum class OptionKind : std::uint8_t {
  kFlag,           // --pid
  kOptionalValue,  // --report or --report=json
  kValue,          // --mtu N; the last one counts
  kList,           // --deny RULE, as often as one likes
};

struct OptionSpec {
  OptionId id;
  OptionKind kind;
  std::string_view names;  // As CLI11 takes them: "-p,--publish".
  std::string_view value;  // The value's name in --help; empty for a flag.
  std::string_view group;  // Heading in --help. Options of a group stand together.
  std::string_view help;   // Lines are broken by hand, 53 columns at most.
};

inline constexpr std::array kRunOptions{
    OptionSpec{OptionId::kAddress, OptionKind::kList, "--address", "IP/LENGTH",
               "The guest's network",
               "address of the guest and length of its prefix;\n"
               "once for IPv4 and once for IPv6\n"
               "(default: 10.0.2.15/24 and fd00::15/64)"},
    OptionSpec{OptionId::kGateway, OptionKind::kList, "--gateway", "IP", "The guest's network",
               "address of the gateway, inside that prefix\n"
               "(default: the one that ends in 2)"},
    OptionSpec{OptionId::kDns, OptionKind::kList, "--dns", "IP", "The guest's network",
               "address where we answer DNS, inside that prefix\n"
               "(default: the one that ends in 3)"},
    OptionSpec{OptionId::kNoDns, OptionKind::kFlag, "--no-dns", "", "The guest's network",
               "do not relay DNS, leave /etc/resolv.conf alone"},
    OptionSpec{OptionId::kOnlyV4, OptionKind::kFlag, "-4,--ipv4-only", "", "The guest's network",
               "no IPv6"},
    OptionSpec{OptionId::kOnlyV6, OptionKind::kFlag, "-6,--ipv6-only", "", "The guest's network",
               "no IPv4"},
    OptionSpec{OptionId::kMtu, OptionKind::kValue, "--mtu", "N", "The guest's network",
               "largest IP packet, 68 to 65520, with IPv6 from 1280\n"
               "(default: 1500; offloads make it fast)"},
    OptionSpec{OptionId::kMac, OptionKind::kValue, "--mac", "MAC", "The guest's network",
               "hardware address of the guest\n"
               "(default: 52:54:00:12:34:56)"},
    OptionSpec{OptionId::kInterface, OptionKind::kValue, "--interface", "NAME",
               "The guest's network", "name of the guest's interface (default: tap0)"},

    OptionSpec{OptionId::kPublish, OptionKind::kList, "-p,--publish", "[ADDR:]HOST:GUEST[/udp]",
               "What may pass",
               "lead a port of the host to one of the guest;\n"
               "ranges as 8000-8010:80-90; IPv6 as [::1]:80:80"},
    OptionSpec{OptionId::kHostLoopback, OptionKind::kFlag, "--host-loopback", "", "What may pass",
               "the gateway's address leads to the host's loopback"},
    OptionSpec{OptionId::kDeny, OptionKind::kList, "--deny", "CIDR[:PORTS]", "What may pass",
               "refuse these targets; ports as 80, 80-90 or\n"
               "22,80-90 (always: 169.254.0.0/16 and fe80::/10)"},
    OptionSpec{OptionId::kAllow, OptionKind::kList, "--allow", "CIDR[:PORTS]", "What may pass",
               "permit these; the longer prefix wins, then the rule\n"
               "of fewer ports, then --allow"},
    OptionSpec{OptionId::kMaxFlows, OptionKind::kValue, "--max-flows", "N", "What may pass",
               "flows at a time (default: 65536; 0: no limit)"},
    OptionSpec{OptionId::kNewFlowsPerSecond, OptionKind::kValue, "--new-flows-per-second", "N",
               "What may pass", "new flows in any second (default: 0, no limit)"},

    OptionSpec{OptionId::kReport, OptionKind::kOptionalValue, "--report", "text|json",
               "What you see", "in the end, print whom the command talked to"},
    OptionSpec{OptionId::kReportFile, OptionKind::kValue, "--report-file", "FILE", "What you see",
               "print the report there (default: standard error)"},
    OptionSpec{OptionId::kFlowLog, OptionKind::kValue, "--flow-log", "FILE", "What you see",
               "append a line of JSON as each flow ends"},
    OptionSpec{OptionId::kPcap, OptionKind::kValue, "--pcap", "FILE", "What you see",
               "capture every frame for tcpdump or wireshark"},
    OptionSpec{OptionId::kTrace, OptionKind::kValue, "--trace", "TARGET[:FILE]", "What you see",
               "in the end, print where the time went; crr is the\n"
               "connect cycle; FILE.json is for ui.perfetto.dev"},
    OptionSpec{OptionId::kLogLevel, OptionKind::kValue, "--log-level", "LEVEL", "What you see",
               "error, warn, info, debug or trace (default: warn)"},
    OptionSpec{OptionId::kVerbose, OptionKind::kFlag, "-v,--verbose", "", "What you see",
               "the same as --log-level info"},

    OptionSpec{OptionId::kPid, OptionKind::kFlag, "--pid", "", "Others",
               "give the command a PID namespace of its own too"},
    OptionSpec{OptionId::kHelp, OptionKind::kFlag, "-h,--help", "", "Others", "print this"},
    OptionSpec{OptionId::kVersion, OptionKind::kFlag, "-V,--version", "", "Others",
               "print the version"},
};

static_assert([] {
  for (std::size_t i = 0; i < kRunOptions.size(); ++i) {
    if (static_cast<std::size_t>(kRunOptions[i].id) != i) return false;
  }
  return true;
}());

}  // namespace sluice::app
