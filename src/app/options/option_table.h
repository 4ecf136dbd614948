// The options of each command: the one list from which the parser and --help are made, and against
// which the manual pages and the completions are tested.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace sluice::app {

// Of all commands: a name that two of them share, such as --verbose, means the same in both.
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
  kHostAddresses,
  kNat64Prefix,
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
  kFastPath,
  kAsRoot,
  kPid,
  kConfig,
  kCheck,
  kBalance,
  kFraming,
  kProxyIn,
  kProxyFrom,
  kProxyOut,
  kConnectFrom,
  kTimeoutConnect,
  kTimeoutIdle,
  kTimeoutHalfClosed,
  kTimeoutUdp,
  kRelay,
  kBufferSize,
  kWorkers,
  kDrainTimeout,
  kNoWatch,
  kPidFile,
  kUser,
  kLogFile,
  kLogFormat,
  kHelp,
  kVersion,
  kCount,  // How many there are.
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
               "(default: 10.0.2.15/24 and fd00::15/64, or others\n"
               "where these would hide a network of the host)"},
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
    OptionSpec{OptionId::kHostAddresses, OptionKind::kFlag, "--host-addresses", "", "What may pass",
               "the host's own addresses may be reached; else only\n"
               "those that an --allow names (not 0.0.0.0/0 or ::/0)"},
    OptionSpec{OptionId::kDeny, OptionKind::kList, "--deny", "CIDR[:PORTS]", "What may pass",
               "refuse these targets; ports as 80, 80-90 or\n"
               "22,80-90 (always: link-local addresses, and those\n"
               "where clouds keep credentials)"},
    OptionSpec{OptionId::kAllow, OptionKind::kList, "--allow", "CIDR[:PORTS]", "What may pass",
               "permit these; the longer prefix wins, then the rule\n"
               "of fewer ports, then --allow"},
    OptionSpec{OptionId::kNat64Prefix, OptionKind::kList, "--nat64-prefix", "PREFIX",
               "What may pass",
               "the network's NAT64 prefix: addresses in it count as\n"
               "the IPv4 addresses in them (64:ff9b::/96 always does)"},
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

    OptionSpec{OptionId::kFastPath, OptionKind::kValue, "--fast-path", "WHEN", "Others",
               "let the guest's kernel carry TCP: auto (connections\n"
               "for which it pays; the default), off, or require\n"
               "(all of them, and fail where it cannot)"},
    OptionSpec{OptionId::kAsRoot, OptionKind::kFlag, "--as-root", "", "Others",
               "the command is user 0 in its namespaces and may change\n"
               "its network (default: it is who you are)"},
    OptionSpec{OptionId::kPid, OptionKind::kFlag, "--pid", "", "Others",
               "give the command a PID namespace of its own too"},
    OptionSpec{OptionId::kHelp, OptionKind::kFlag, "-h,--help", "", "Others", "print this"},
    OptionSpec{OptionId::kVersion, OptionKind::kFlag, "-V,--version", "", "Others",
               "print the version"},
};

inline constexpr std::array kForwardOptions{
    OptionSpec{OptionId::kConfig, OptionKind::kValue, "-c,--config", "FILE", "What to forward",
               "read rules there: rinetd's form, or TOML if its name\n"
               "ends in .toml"},
    OptionSpec{OptionId::kCheck, OptionKind::kOptionalValue, "--check", "text|json",
               "What to forward", "print the rules with every default, and leave"},
    OptionSpec{OptionId::kAllow, OptionKind::kList, "--allow", "PATTERN", "What to forward",
               "clients that may connect, to any rule: an address,\n"
               "a prefix, or with wildcards as 192.168.1.*"},
    OptionSpec{OptionId::kDeny, OptionKind::kList, "--deny", "PATTERN", "What to forward",
               "clients that may not, even if allowed"},

    OptionSpec{OptionId::kBalance, OptionKind::kValue, "--balance", "HOW",
               "Rules of the command line",
               "among several targets: round-robin (the default),\n"
               "least-connections or client-hash"},
    OptionSpec{OptionId::kConnectFrom, OptionKind::kValue, "--connect-from", "ADDRESS",
               "Rules of the command line", "own address of connections to targets"},
    OptionSpec{OptionId::kProxyIn, OptionKind::kFlag, "--proxy-in", "", "Rules of the command line",
               "clients begin with a PROXY header, v1 or v2"},
    OptionSpec{OptionId::kProxyFrom, OptionKind::kList, "--proxy-from", "ADDRESS",
               "Rules of the command line",
               "who may send such a header, as 10.0.0.0/8: others are\n"
               "refused (default: whoever connects; repeatable)"},
    OptionSpec{OptionId::kProxyOut, OptionKind::kValue, "--proxy-out", "v1|v2",
               "Rules of the command line", "tell targets the client by a PROXY header"},
    OptionSpec{OptionId::kFraming, OptionKind::kValue, "--framing", "HOW",
               "Rules of the command line",
               "datagrams in a stream, from udp to tcp or back:\n"
               "none (the default) or length16, two bytes before each"},
    OptionSpec{OptionId::kTimeoutConnect, OptionKind::kValue, "--timeout-connect", "TIME",
               "Rules of the command line", "for a target to accept (default: 10s)"},
    OptionSpec{OptionId::kTimeoutIdle, OptionKind::kValue, "--timeout-idle", "TIME",
               "Rules of the command line", "without a byte either way (default: 0, for ever)"},
    OptionSpec{OptionId::kTimeoutHalfClosed, OptionKind::kValue, "--timeout-half-closed", "TIME",
               "Rules of the command line",
               "one side has ended, the other is idle (default: 10m;\n"
               "0: for ever)"},
    OptionSpec{OptionId::kTimeoutUdp, OptionKind::kValue, "--timeout-udp", "TIME",
               "Rules of the command line", "a client's datagrams are one session (default: 72s)"},

    OptionSpec{OptionId::kRelay, OptionKind::kValue, "--relay", "MODE", "How it runs",
               "auto (the default): bulk by splice, the rest by copy;\n"
               "copy; splice"},
    OptionSpec{OptionId::kBufferSize, OptionKind::kValue, "--buffer-size", "BYTES", "How it runs",
               "of a copy, 1KiB to 16MiB (default: 64KiB)"},
    OptionSpec{OptionId::kWorkers, OptionKind::kValue, "--workers", "N", "How it runs",
               "threads that forward (default: 0, one for each core)"},
    OptionSpec{OptionId::kDrainTimeout, OptionKind::kValue, "--drain-timeout", "TIME",
               "How it runs",
               "at the end, for connections to finish (default: 30s;\n"
               "0: for ever)"},
    OptionSpec{OptionId::kNoWatch, OptionKind::kFlag, "--no-watch", "", "How it runs",
               "reload at SIGHUP only, not when FILE changes"},
    OptionSpec{OptionId::kUser, OptionKind::kValue, "--user", "NAME[:GROUP]", "How it runs",
               "once it listens, become this user (default: nobody in\n"
               "the place of root; root: stay root)"},
    OptionSpec{OptionId::kPidFile, OptionKind::kValue, "--pid-file", "FILE", "How it runs",
               "write our process number there"},

    OptionSpec{OptionId::kLogFile, OptionKind::kValue, "--log-file", "FILE", "What you see",
               "append a line for each connection; - is standard\n"
               "output"},
    OptionSpec{OptionId::kLogFormat, OptionKind::kValue, "--log-format", "FORMAT", "What you see",
               "rinetd (the default), common or json"},
    OptionSpec{OptionId::kLogLevel, OptionKind::kValue, "--log-level", "LEVEL", "What you see",
               "error, warn, info, debug or trace (default: warn)"},
    OptionSpec{OptionId::kVerbose, OptionKind::kFlag, "-v,--verbose", "", "What you see",
               "the same as --log-level info"},

    OptionSpec{OptionId::kHelp, OptionKind::kFlag, "-h,--help", "", "Others", "print this"},
    OptionSpec{OptionId::kVersion, OptionKind::kFlag, "-V,--version", "", "Others",
               "print the version"},
};

// Of the Rust forwarder, as which we may be called.
inline constexpr std::array kOiOptions{
    OptionSpec{OptionId::kConfig, OptionKind::kValue, "-c,--config", "FILE", "Options",
               "read rules there: TOML if its name ends in .toml,\n"
               "otherwise rinetd's form"},
    OptionSpec{OptionId::kVerbose, OptionKind::kFlag, "-v,--verbose", "", "Options",
               "say what is being done"},
    OptionSpec{OptionId::kHelp, OptionKind::kFlag, "-h,--help", "", "Options", "print this"},
    OptionSpec{OptionId::kVersion, OptionKind::kFlag, "-V,--version", "", "Options",
               "print the version"},
};

}  // namespace sluice::app
