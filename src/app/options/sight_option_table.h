// The options of the commands by which people see: `web`, and `observe` and `log`, which read what
// others have written.
#pragma once

#include <array>

#include "app/options/guest_option_table.h"
#include "app/options/option_spec.h"

namespace sluice::app {

inline constexpr std::array kObserveOptions{
    OptionSpec{OptionId::kFollow, OptionKind::kFlag, "-f,--follow", "", "How",
               "go on with what is appended to the file; a run is\n"
               "always followed"},
    OptionSpec{OptionId::kJson, OptionKind::kFlag, "--json", "", "How",
               "lines as they are in the stream"},
    OptionSpec{OptionId::kDenied, OptionKind::kFlag, "--denied", "", "What is shown",
               "only what was refused, or ended by a limit or a policy"},
    OptionSpec{OptionId::kName, OptionKind::kList, "--name", "PATTERN", "What is shown",
               "flows with this name: example.org, *.example.org\n"
               "(below it), .example.org (both), api-*.example.org, *"},
    OptionSpec{OptionId::kProto, OptionKind::kList, "--proto", "PROTOCOL", "What is shown",
               "tcp, udp or icmp"},
    OptionSpec{OptionId::kPort, OptionKind::kList, "--port", "PORTS", "What is shown",
               "of the other end: 80, 80-90 or 22,80-90"},
    OptionSpec{OptionId::kPeer, OptionKind::kList, "--peer", "CIDR", "What is shown",
               "address of the other end"},
    OptionSpec{OptionId::kReason, OptionKind::kList, "--reason", "REASON", "What is shown",
               "why, as name-unlisted or quota"},
    OptionSpec{OptionId::kType, OptionKind::kList, "--type", "TYPE", "What is shown",
               "start, open, close, deny, limit, revoke, dns, gate,\n"
               "policy, reload, lost or end"},
    OptionSpec{OptionId::kFlow, OptionKind::kList, "--flow", "NUMBER", "What is shown",
               "one flow, by the 16 digits that name it"},
    guest_option::kHelp,
    guest_option::kVersion,
};

inline constexpr std::array kWebOptions{
    OptionSpec{OptionId::kListen, OptionKind::kValue, "--listen", "[ADDR:]PORT", "Options",
               "where, on loopback (default: 127.0.0.1:0, which is any\n"
               "port that is free)"},
    guest_option::kHelp,
    guest_option::kVersion,
};

inline constexpr std::array kTopOptions{
    OptionSpec{OptionId::kOnce, OptionKind::kFlag, "--once", "", "How",
               "print one look, with every flow, and end"},
    guest_option::kHelp,
    guest_option::kVersion,
};

inline constexpr std::array kLogOptions{
    OptionSpec{OptionId::kTo, OptionKind::kValue, "--to", "FORMAT", "How",
               "ocsf (1.3, classes 4001 and 4003), eve (Suricata's),\n"
               "zeek (conn.log), zeek-dns (dns.log) or zeek-ssl\n"
               "(ssl.log)"},
    guest_option::kHelp,
    guest_option::kVersion,
};

}  // namespace sluice::app
