// The options of `sluice attach`.
#pragma once

#include <array>

#include "app/options/guest_option_table.h"
#include "app/options/option_spec.h"

namespace sluice::app {

inline constexpr std::array kAttachOptions{
    OptionSpec{OptionId::kNetns, OptionKind::kValue, "--netns", "PATH", "The namespace",
               "its file, in the place of TARGET"},
    OptionSpec{OptionId::kUserns, OptionKind::kValue, "--userns", "PATH", "The namespace",
               "the user namespace that is joined first (default: the\n"
               "one that the network namespace belongs to)"},
    OptionSpec{OptionId::kBackground, OptionKind::kFlag, "--background", "", "The namespace",
               "return once the network is there, and go on beside"},
    OptionSpec{OptionId::kPidFile, OptionKind::kValue, "--pid-file", "FILE", "The namespace",
               "write our process number there, once the network is"},
    OptionSpec{OptionId::kReadyFd, OptionKind::kValue, "--ready-fd", "N", "The namespace",
               "write a 1 to this descriptor of yours when the network\n"
               "is there, and close it"},
    OptionSpec{OptionId::kExitFd, OptionKind::kValue, "--exit-fd", "N", "The namespace",
               "end when the other side of this descriptor is closed"},
    guest_option::kAddress,
    guest_option::kGateway,
    guest_option::kDns,
    OptionSpec{OptionId::kNoDns, OptionKind::kFlag, "--no-dns", "", "The guest's network",
               "do not relay DNS"},
    guest_option::kOnlyV4,
    guest_option::kOnlyV6,
    OptionSpec{OptionId::kMtu, OptionKind::kValue, "--mtu", "N", "The guest's network",
               "largest IP packet, 68 to 65520, with IPv6 from 1280\n"
               "(default: 1500; offloads make it fast)"},
    OptionSpec{OptionId::kMac, OptionKind::kValue, "--mac", "MAC", "The guest's network",
               "hardware address of the guest\n"
               "(default: 52:54:00:12:34:56)"},
    OptionSpec{OptionId::kInterface, OptionKind::kValue, "--interface", "NAME",
               "The guest's network",
               "name of the interface that is made there\n"
               "(default: tap0)"},
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
               "let the namespace's kernel carry TCP: auto (those\n"
               "for which it pays; the default), off, or require\n"
               "(all of them, and fail where it cannot)"},
    OptionSpec{OptionId::kWorkers, OptionKind::kValue, "--workers", "N", "Others",
               "threads that serve it, 1 to 16 (default: 1)"},
    guest_option::kHelp,
    guest_option::kVersion,
};

}  // namespace sluice::app
