// The options that `run`, `vm` and `box` share: those of a guest, whoever it is.
#pragma once

#include "app/options/option_spec.h"

namespace sluice::app::guest_option {

inline constexpr OptionSpec kAddress{OptionId::kAddress,
                                     OptionKind::kList,
                                     "--address",
                                     "IP/LENGTH",
                                     "The guest's network",
                                     "address of the guest and length of its prefix;\n"
                                     "once for IPv4 and once for IPv6\n"
                                     "(default: 10.0.2.15/24 and fd00::15/64, or others\n"
                                     "where these would hide a network of the host)"};
inline constexpr OptionSpec kGateway{OptionId::kGateway,
                                     OptionKind::kList,
                                     "--gateway",
                                     "IP",
                                     "The guest's network",
                                     "address of the gateway, inside that prefix\n"
                                     "(default: the one that ends in 2)"};
inline constexpr OptionSpec kDns{OptionId::kDns,
                                 OptionKind::kList,
                                 "--dns",
                                 "IP",
                                 "The guest's network",
                                 "address where we answer DNS, inside that prefix\n"
                                 "(default: the one that ends in 3)"};
inline constexpr OptionSpec kOnlyV4{OptionId::kOnlyV4,     OptionKind::kFlag, "-4,--ipv4-only", "",
                                    "The guest's network", "no IPv6"};
inline constexpr OptionSpec kOnlyV6{OptionId::kOnlyV6,     OptionKind::kFlag, "-6,--ipv6-only", "",
                                    "The guest's network", "no IPv4"};
inline constexpr OptionSpec kPublish{OptionId::kPublish,
                                     OptionKind::kList,
                                     "-p,--publish",
                                     "[ADDR:]HOST:GUEST[/udp]",
                                     "What may pass",
                                     "lead a port of the host to one of the guest;\n"
                                     "ranges as 8000-8010:80-90; IPv6 as [::1]:80:80;\n"
                                     "host port 0: one that is free, which is told"};
inline constexpr OptionSpec kTcpPorts{OptionId::kTcpPorts,
                                      OptionKind::kList,
                                      "-t,--tcp-ports",
                                      "PORTS",
                                      "What may pass",
                                      "the same for many, as 22,8080:80,2000-2010,~2005;\n"
                                      "with ADDRESS%INTERFACE/ before them if need be;\n"
                                      "'all': what is free, but for ephemeral ones; 'auto':\n"
                                      "where the guest waits (run and attach), 'auto,~22':\n"
                                      "but for one"};
inline constexpr OptionSpec kUdpPorts{OptionId::kUdpPorts, OptionKind::kList,
                                      "-u,--udp-ports",    "PORTS",
                                      "What may pass",     "as --tcp-ports, for UDP"};
inline constexpr OptionSpec kIgnoreBindErrors{OptionId::kIgnoreBindErrors,
                                              OptionKind::kFlag,
                                              "--ignore-bind-errors",
                                              "",
                                              "What may pass",
                                              "ports of the host that cannot be had are left out,\n"
                                              "with a warning"};
// Of guests that are namespaces: run and attach.
inline constexpr OptionSpec kTcpNs{OptionId::kTcpNs,
                                   OptionKind::kList,
                                   "-T,--tcp-ns",
                                   "PORTS",
                                   "What may pass",
                                   "lead TCP ports of the guest's loopback to the host's,\n"
                                   "as 5432,8080:80,2000-2010,~2005: the guest's port, and\n"
                                   "the host's behind the colon; 'auto': where programs of\n"
                                   "the host wait, every one of them, 'auto,~22': but for\n"
                                   "one"};
inline constexpr OptionSpec kUdpNs{OptionId::kUdpNs, OptionKind::kList, "-U,--udp-ns",
                                   "PORTS",          "What may pass",   "as --tcp-ns, for UDP"};
inline constexpr OptionSpec kHostLoToNsLo{OptionId::kHostLoToNsLo,
                                          OptionKind::kFlag,
                                          "--host-lo-to-ns-lo",
                                          "",
                                          "What may pass",
                                          "clients of the host's loopback at published ports\n"
                                          "find servers of the guest's loopback first (default:\n"
                                          "where nobody waits at its address)"};
inline constexpr OptionSpec kHostLoopback{
    OptionId::kHostLoopback, OptionKind::kFlag,
    "--host-loopback",       "",
    "What may pass",         "the gateway's address leads to the host's loopback"};
inline constexpr OptionSpec kHostAddresses{OptionId::kHostAddresses,
                                           OptionKind::kFlag,
                                           "--host-addresses",
                                           "",
                                           "What may pass",
                                           "the host's own addresses may be reached; else only\n"
                                           "those that an --allow names (not 0.0.0.0/0 or ::/0)"};
inline constexpr OptionSpec kOutbound{OptionId::kOutbound,
                                      OptionKind::kList,
                                      "--outbound",
                                      "IP|INTERFACE",
                                      "What may pass",
                                      "from where the host's side of flows goes out: an\n"
                                      "address of the host, once for IPv4 and once for IPv6,\n"
                                      "an interface, or both (default: as routes lead)"};
inline constexpr OptionSpec kAllow{OptionId::kAllow,
                                   OptionKind::kList,
                                   "--allow",
                                   "TARGET[:PORTS][/PROTO]",
                                   "What may pass",
                                   "permit this: a name as example.com, *.example.com,\n"
                                   ".example.com (with the name itself); an address or\n"
                                   "range; @public, @private, @host, @loopback. A name\n"
                                   "without ports is TCP to 80 and 443. With no --deny all\n"
                                   "else is refused"};
inline constexpr OptionSpec kDeny{OptionId::kDeny,
                                  OptionKind::kList,
                                  "--deny",
                                  "TARGET[:PORTS][/PROTO]",
                                  "What may pass",
                                  "refuse this. The most specific rule decides, in any\n"
                                  "order; on a tie --deny (always refused: link-local\n"
                                  "addresses, and those where clouds keep credentials)"};
inline constexpr OptionSpec kPolicy{OptionId::kPolicy,
                                    OptionKind::kList,
                                    "--policy",
                                    "FILE",
                                    "What may pass",
                                    "rules and settings of a file: sluice-policy(5);\n"
                                    "what it does not allow is refused"};
inline constexpr OptionSpec kAudit{OptionId::kAudit,
                                   OptionKind::kFlag,
                                   "--audit",
                                   "",
                                   "What may pass",
                                   "let through what the policy refuses, and say in the\n"
                                   "events and in the end what that was; what no policy\n"
                                   "opens by itself, as the host's own addresses, stays\n"
                                   "refused"};
inline constexpr OptionSpec kLearn{OptionId::kLearn,
                                   OptionKind::kValue,
                                   "--learn",
                                   "FILE",
                                   "What may pass",
                                   "the same without a word, and in the end write FILE: a\n"
                                   "policy of what was used, by name, port and protocol"};
inline constexpr OptionSpec kGeneralise{OptionId::kGeneralise,
                                        OptionKind::kFlag,
                                        "--generalise",
                                        "",
                                        "What may pass",
                                        "with --learn: whole registered domains, as\n"
                                        ".example.com for www.example.com"};
inline constexpr OptionSpec kProfile{OptionId::kProfile,
                                     OptionKind::kList,
                                     "--profile",
                                     "NAME[,NAME]",
                                     "What may pass",
                                     "rules for a purpose, as python or debian: 'sluice\n"
                                     "profile list'; what they do not allow is refused"};
inline constexpr OptionSpec kDefault{
    OptionId::kDefault, OptionKind::kValue, "--default",
    "deny|ask|allow",   "What may pass",    "what becomes of that which no rule speaks of"};
inline constexpr OptionSpec kAsk{OptionId::kAsk,
                                 OptionKind::kOptionalList,
                                 "--ask",
                                 "TARGET[:PORTS][/PROTO]",
                                 "What may pass",
                                 "ask people about this, else about all that no rule\n"
                                 "speaks of: connections wait for 'sluice ctl answer',\n"
                                 "'sluice web' or --ask-exec; none there, and they are\n"
                                 "refused"};
inline constexpr OptionSpec kAskTimeout{
    OptionId::kAskTimeout, OptionKind::kValue,
    "--ask-timeout",       "DURATION",
    "What may pass",       "for how long they wait (default: 60s)"};
inline constexpr OptionSpec kAskExec{OptionId::kAskExec,
                                     OptionKind::kValue,
                                     "--ask-exec",
                                     "PROGRAM",
                                     "What may pass",
                                     "a shell's command line, started before the guest, that\n"
                                     "gets questions as lines of JSON and prints answers"};
inline constexpr OptionSpec kNat64Prefix{OptionId::kNat64Prefix,
                                         OptionKind::kList,
                                         "--nat64-prefix",
                                         "PREFIX",
                                         "What may pass",
                                         "the network's NAT64 prefix: addresses in it count as\n"
                                         "the IPv4 addresses in them (64:ff9b::/96 always does)"};
inline constexpr OptionSpec kMaxFlows{
    OptionId::kMaxFlows, OptionKind::kValue,
    "--max-flows",       "N",
    "What may pass",     "flows at a time (default: 65536; 0: no limit)"};
inline constexpr OptionSpec kNewFlowsPerSecond{OptionId::kNewFlowsPerSecond,
                                               OptionKind::kValue,
                                               "--new-flows-per-second",
                                               "N",
                                               "What may pass",
                                               "new flows in any second (default: 0, no limit)"};
inline constexpr OptionSpec kLimit{OptionId::kLimit,
                                   OptionKind::kList,
                                   "--limit",
                                   "KEY=VALUE[,...]",
                                   "What may pass",
                                   "what all flows carry together: to-host=2GiB and\n"
                                   "from-host=10GiB end them once it is used up;\n"
                                   "rate=5MiB/s slows them down, each way"};
inline constexpr OptionSpec kReport{
    OptionId::kReport, OptionKind::kOptionalValue,
    "--report",        "text|json",
    "What you see",    "in the end, print whom the guest talked to"};
inline constexpr OptionSpec kReportFile{
    OptionId::kReportFile, OptionKind::kValue,
    "--report-file",       "FILE",
    "What you see",        "print the report there (default: standard error)"};
inline constexpr OptionSpec kFlowLog{OptionId::kFlowLog, OptionKind::kValue,
                                     "--flow-log",       "FILE",
                                     "What you see",     "append a line of JSON as each flow ends"};
inline constexpr OptionSpec kEvents{OptionId::kEvents,
                                    OptionKind::kValue,
                                    "--events",
                                    "FILE",
                                    "What you see",
                                    "append a line of JSON for all that happens, as it\n"
                                    "happens: flows that begin and end, and refusals"};
inline constexpr OptionSpec kMetrics{OptionId::kMetrics,
                                     OptionKind::kValue,
                                     "--metrics",
                                     "[ADDR:]PORT",
                                     "What you see",
                                     "serve counters for Prometheus there, at /metrics\n"
                                     "(default address: 127.0.0.1; port 0: any, and told)"};
inline constexpr OptionSpec kPcap{OptionId::kPcap, OptionKind::kValue,
                                  "--pcap",        "FILE",
                                  "What you see",  "capture every frame for tcpdump or wireshark"};
inline constexpr OptionSpec kTrace{OptionId::kTrace,
                                   OptionKind::kValue,
                                   "--trace",
                                   "TARGET[:FILE]",
                                   "What you see",
                                   "in the end, print where the time went; crr is the\n"
                                   "connect cycle; FILE.json is for ui.perfetto.dev"};
inline constexpr OptionSpec kLogLevel{
    OptionId::kLogLevel, OptionKind::kValue,
    "--log-level",       "LEVEL",
    "What you see",      "error, warn, info, debug or trace (default: warn)"};
inline constexpr OptionSpec kVerbose{OptionId::kVerbose, OptionKind::kFlag,
                                     "-v,--verbose",     "",
                                     "What you see",     "the same as --log-level info"};
inline constexpr OptionSpec kHelp{OptionId::kHelp, OptionKind::kFlag, "-h,--help", "",
                                  "Others",        "print this"};
inline constexpr OptionSpec kVersion{OptionId::kVersion, OptionKind::kFlag,  "-V,--version", "",
                                     "Others",           "print the version"};

}  // namespace sluice::app::guest_option
