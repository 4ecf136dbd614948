// The options of each command: the one list from which the parser and --help are made, and against
// which the manual pages and the completions are tested.
#pragma once

#include <array>

#include "app/options/guest_option_table.h"
#include "app/options/option_spec.h"

namespace sluice::app {

inline constexpr std::array kRunOptions{
    guest_option::kAddress,
    guest_option::kGateway,
    guest_option::kDns,
    OptionSpec{OptionId::kNoDns, OptionKind::kFlag, "--no-dns", "", "The guest's network",
               "do not relay DNS, leave /etc/resolv.conf alone"},
    guest_option::kOnlyV4,
    guest_option::kOnlyV6,
    OptionSpec{OptionId::kMtu, OptionKind::kValue, "--mtu", "N", "The guest's network",
               "largest IP packet, 68 to 65520, with IPv6 from 1280\n"
               "(default: 1500; offloads make it fast)"},
    OptionSpec{OptionId::kMac, OptionKind::kValue, "--mac", "MAC", "The guest's network",
               "hardware address of the guest\n"
               "(default: 52:54:00:12:34:56)"},
    OptionSpec{OptionId::kInterface, OptionKind::kValue, "--interface", "NAME",
               "The guest's network", "name of the guest's interface (default: tap0)"},
    guest_option::kPublish,
    guest_option::kTcpPorts,
    guest_option::kUdpPorts,
    guest_option::kIgnoreBindErrors,
    guest_option::kTcpNs,
    guest_option::kUdpNs,
    guest_option::kHostLoToNsLo,
    guest_option::kHostLoopback,
    guest_option::kHostAddresses,
    guest_option::kOutbound,
    guest_option::kAllow,
    guest_option::kDeny,
    guest_option::kPolicy,
    guest_option::kAudit,
    guest_option::kLearn,
    guest_option::kGeneralise,
    guest_option::kProfile,
    guest_option::kDefault,
    guest_option::kAsk,
    guest_option::kAskTimeout,
    guest_option::kAskExec,
    guest_option::kNat64Prefix,
    guest_option::kMaxFlows,
    guest_option::kNewFlowsPerSecond,
    guest_option::kLimit,
    guest_option::kReport,
    guest_option::kReportFile,
    guest_option::kFlowLog,
    guest_option::kEvents,
    guest_option::kMetrics,
    guest_option::kPcap,
    guest_option::kTrace,
    guest_option::kLogLevel,
    guest_option::kVerbose,
    OptionSpec{OptionId::kFastPath, OptionKind::kValue, "--fast-path", "WHEN", "Others",
               "let the guest's kernel carry TCP: auto (connections\n"
               "for which it pays; the default), off, or require\n"
               "(all of them, and fail where it cannot)"},
    OptionSpec{OptionId::kWorkers, OptionKind::kValue, "--workers", "N", "Others",
               "threads that serve the command, 1 to 16 (default: 1)"},
    OptionSpec{OptionId::kAsRoot, OptionKind::kFlag, "--as-root", "", "Others",
               "the command is user 0 in its namespaces and may change\n"
               "its network (default: it is who you are)"},
    OptionSpec{OptionId::kPid, OptionKind::kFlag, "--pid", "", "Others",
               "give the command a PID namespace of its own too"},
    guest_option::kHelp,
    guest_option::kVersion,
};

inline constexpr std::array kVmOptions{
    OptionSpec{OptionId::kSocket, OptionKind::kValue, "--socket", "PATH", "The machine",
               "listen there: each frame has its length before it, as\n"
               "QEMU's '-netdev stream' and libkrun's unixstream have"},
    OptionSpec{OptionId::kDatagram, OptionKind::kValue, "--datagram", "PATH", "The machine",
               "take datagrams there, a frame each: vfkit, libkrun's\n"
               "unixgram, QEMU's '-netdev dgram'"},
    OptionSpec{OptionId::kSeqpacket, OptionKind::kValue, "--seqpacket", "PATH", "The machine",
               "listen there, a frame is a packet: User Mode Linux's\n"
               "'transport=bess'"},
    OptionSpec{OptionId::kVhostUser, OptionKind::kValue, "--vhost-user", "PATH", "The machine",
               "listen there for a front-end of vhost-user, which\n"
               "shares the machine's memory: the fastest; QEMU with\n"
               "'memory-backend-memfd,share=on', cloud-hypervisor,\n"
               "crosvm, User Mode Linux, DPDK"},
    OptionSpec{OptionId::kVhostUserConnect, OptionKind::kValue, "--vhost-user-connect", "PATH",
               "The machine",
               "the same where the front-end listens: connect there,\n"
               "and again whenever it has gone"},
    OptionSpec{OptionId::kQueues, OptionKind::kValue, "--queues", "N", "The machine",
               "by shared memory: pairs of queues, 1 to 16, that the\n"
               "machine may use (default: 1)"},
    OptionSpec{OptionId::kWorkers, OptionKind::kValue, "--workers", "N", "The machine",
               "by shared memory: threads that serve it, 1 to as many\n"
               "as there are pairs of queues (default: as many, where\n"
               "there are cores for them)"},
    OptionSpec{OptionId::kFd, OptionKind::kValue, "--fd", "N", "The machine",
               "a socket of one of these kinds that you have opened:\n"
               "connected, or listening"},
    OptionSpec{OptionId::kOneOff, OptionKind::kFlag, "--one-off", "", "The machine",
               "end when the first machine has left\n"
               "(default: wait for the next)"},
    OptionSpec{OptionId::kPidFile, OptionKind::kValue, "--pid-file", "FILE", "The machine",
               "write our process number there, once the socket is\n"
               "open"},
    guest_option::kAddress,
    guest_option::kGateway,
    guest_option::kDns,
    OptionSpec{OptionId::kNoDns, OptionKind::kFlag, "--no-dns", "", "The guest's network",
               "do not relay DNS"},
    guest_option::kOnlyV4,
    guest_option::kOnlyV6,
    OptionSpec{OptionId::kMtu, OptionKind::kValue, "--mtu", "N", "The guest's network",
               "largest IP packet, which DHCP and IPv6 tell the guest:\n"
               "68 to 65520, with IPv6 from 1280\n"
               "(default: 65520 by a stream, 1500 otherwise)"},
    OptionSpec{OptionId::kMac, OptionKind::kValue, "--mac", "MAC", "The guest's network",
               "hardware address of the guest, until it tells it\n"
               "(default: 52:54:00:12:34:56)"},
    guest_option::kPublish,
    guest_option::kTcpPorts,
    guest_option::kUdpPorts,
    guest_option::kIgnoreBindErrors,
    guest_option::kHostLoopback,
    guest_option::kHostAddresses,
    guest_option::kOutbound,
    guest_option::kAllow,
    guest_option::kDeny,
    guest_option::kPolicy,
    guest_option::kAudit,
    guest_option::kLearn,
    guest_option::kGeneralise,
    guest_option::kProfile,
    guest_option::kDefault,
    guest_option::kAsk,
    guest_option::kAskTimeout,
    guest_option::kAskExec,
    guest_option::kNat64Prefix,
    guest_option::kMaxFlows,
    guest_option::kNewFlowsPerSecond,
    guest_option::kLimit,
    guest_option::kReport,
    guest_option::kReportFile,
    guest_option::kFlowLog,
    guest_option::kEvents,
    guest_option::kMetrics,
    guest_option::kPcap,
    guest_option::kTrace,
    guest_option::kLogLevel,
    guest_option::kVerbose,
    guest_option::kHelp,
    guest_option::kVersion,
};

inline constexpr std::array kBoxOptions{
    OptionSpec{OptionId::kCpus, OptionKind::kValue, "--cpus", "N", "The machine",
               "processors, 1 to 16 (default: as many as this machine\n"
               "lets us use, 4 at most)"},
    OptionSpec{OptionId::kMemory, OptionKind::kValue, "--memory", "SIZE", "The machine",
               "as 512MiB or 2GiB; what it does not use costs nothing\n"
               "(default: 1GiB, half of this machine's at most)"},
    OptionSpec{OptionId::kKernel, OptionKind::kValue, "--kernel", "FILE", "The machine",
               "what it boots, a bzImage or an ELF file, with the\n"
               "modules of its version (default: one that is found)"},
    OptionSpec{OptionId::kFetchKernel, OptionKind::kFlag, "--fetch-kernel", "", "The machine",
               "where there is no kernel, unpack the distribution's in\n"
               "a folder of yours; nothing is installed"},
    OptionSpec{OptionId::kNetQueues, OptionKind::kValue, "--net-queues", "N", "The machine",
               "pairs of queues of its network device, 1 to 16\n"
               "(default: 1, or as many as there are --workers)"},
    OptionSpec{OptionId::kWorkers, OptionKind::kValue, "--workers", "N", "The machine",
               "threads that serve these, 1 to as many as there are\n"
               "(default: as many, where there are cores for them)"},
    OptionSpec{OptionId::kRoot, OptionKind::kValue, "--root", "DIR", "The command",
               "its file system, as an image that is unpacked there\n"
               "(default: this machine's); its changes are kept in\n"
               "memory and lost"},
    OptionSpec{OptionId::kShare, OptionKind::kList, "--share", "PATH[:TARGET][:rw]", "The command",
               "show it this folder as it is, at TARGET if you like;\n"
               "with rw its changes are the host's (repeatable)"},
    OptionSpec{OptionId::kEnv, OptionKind::kList, "-e,--env", "NAME=VALUE", "The command",
               "set a variable; the others are those that we have"},
    OptionSpec{OptionId::kWorkdir, OptionKind::kValue, "--workdir", "DIR", "The command",
               "where it starts (default: where we are; with --root /)"},
    OptionSpec{OptionId::kAsRoot, OptionKind::kFlag, "--as-root", "", "The command",
               "it is user 0 in the machine (default: who you are)"},
    OptionSpec{OptionId::kPid, OptionKind::kFlag, "--pid", "", "The command",
               "for lines of 'sluice run': a machine has processes of\n"
               "its own in any case"},
    guest_option::kAddress,
    guest_option::kGateway,
    guest_option::kDns,
    OptionSpec{OptionId::kNoDns, OptionKind::kFlag, "--no-dns", "", "The guest's network",
               "do not relay DNS, leave /etc/resolv.conf alone"},
    guest_option::kOnlyV4,
    guest_option::kOnlyV6,
    OptionSpec{OptionId::kMtu, OptionKind::kValue, "--mtu", "N", "The guest's network",
               "largest IP packet, 68 to 65520, with IPv6 from 1280\n"
               "(default: 1500; offloads make it fast)"},
    OptionSpec{OptionId::kMac, OptionKind::kValue, "--mac", "MAC", "The guest's network",
               "hardware address of the guest\n"
               "(default: 52:54:00:12:34:56)"},
    OptionSpec{OptionId::kInterface, OptionKind::kValue, "--interface", "NAME",
               "The guest's network", "name of the guest's interface (default: eth0)"},
    guest_option::kPublish,
    guest_option::kTcpPorts,
    guest_option::kUdpPorts,
    guest_option::kIgnoreBindErrors,
    guest_option::kHostLoopback,
    guest_option::kHostAddresses,
    guest_option::kOutbound,
    guest_option::kAllow,
    guest_option::kDeny,
    guest_option::kPolicy,
    guest_option::kAudit,
    guest_option::kLearn,
    guest_option::kGeneralise,
    guest_option::kProfile,
    guest_option::kDefault,
    guest_option::kAsk,
    guest_option::kAskTimeout,
    guest_option::kAskExec,
    guest_option::kNat64Prefix,
    guest_option::kMaxFlows,
    guest_option::kNewFlowsPerSecond,
    guest_option::kLimit,
    guest_option::kReport,
    guest_option::kReportFile,
    guest_option::kFlowLog,
    guest_option::kEvents,
    guest_option::kMetrics,
    guest_option::kPcap,
    guest_option::kTrace,
    guest_option::kLogLevel,
    guest_option::kVerbose,
    OptionSpec{OptionId::kFastPath, OptionKind::kValue, "--fast-path", "WHEN", "Others",
               "for lines of 'sluice run': auto or off, as a machine's\n"
               "kernel takes no connections over"},
    guest_option::kHelp,
    guest_option::kVersion,
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
    OptionSpec{OptionId::kEvents, OptionKind::kValue, "--events", "FILE", "What you see",
               "append a line of JSON for all that happens, as it\n"
               "happens: sessions that begin and end, refusals and\n"
               "reloads"},
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
