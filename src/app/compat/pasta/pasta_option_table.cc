#include "app/compat/pasta/pasta_option_table.h"

#include <fmt/core.h>

#include <string>
#include <string_view>

#include "app/options/interface_name.h"

namespace sluice::app {
namespace {

using policy::Protocol;

template <Protocol kProtocol>
PasstTaken read_ports_in(PasstDraft& draft, PasstGiven given) {
  return take_ports(draft, given, kProtocol);
}

PasstTaken read_interface(PasstDraft& draft, PasstGiven given) {
  if (!is_interface_name(given.text) || given.text == "lo") {
    return fail(
        "{}: '{}' cannot name an interface; expected 1 to 15 characters without '/', ':', '%' or "
        "spaces, and not 'lo'",
        given.option, given.text);
  }
  draft.value(OptionId::kInterface, given.text);
  return {};
}

// An empty one would read as none.
template <std::string PastaNamespaceWords::* kPath>
PasstTaken read_path(PasstDraft& draft, PasstGiven given) {
  if (given.text.empty()) return fail("{}: the path is empty", given.option);
  draft.target.*kPath = given.text;
  return {};
}

template <bool PastaNamespaceWords::* kSwitch, bool kOn>
PasstTaken switched(PasstDraft& draft, PasstGiven) {
  draft.target.*kSwitch = kOn;
  return {};
}

// Routes and addresses of the host are never copied.
PasstTaken is_so_anyway(PasstDraft& draft, PasstGiven given) {
  draft.differs(fmt::format("{}: it is so in any case", given.option));
  return {};
}

PasstTaken tell_of_statistics(PasstDraft& draft, PasstGiven given) {
  draft.differs(
      fmt::format("{}: 'sluice ctl' and 'sluice top' show what is going on", given.option));
  return {};
}

PasstTaken refuse_machine(PasstDraft&, PasstGiven given) {
  return fail("{}: that is for a virtual machine; expected it of passt alone", given.option);
}

PasstTaken refuse_tap(PasstDraft&, PasstGiven given) {
  return fail("{}: a tap that is open already is not taken; expected --netns or PID", given.option);
}

constexpr PasstOption kOptions[] = {
    {"ns-ifname", 'I', "NAME", "of the interface in the namespace (default: tap0)", read_interface},
    {"ns-mac-addr", 0, "MAC", "of that interface",
     [](PasstDraft& draft, PasstGiven given) { return take_mac(given, draft.guest_mac); }},
    {"config-net", 0, nullptr, "give it its addresses and routes, and bring it up",
     switched<&PastaNamespaceWords::configures, true>},
    {"netns", 0, "PATH|NAME", "serve this namespace", read_path<&PastaNamespaceWords::network>},
    {"userns", 0, "PATH", "the user namespace to join for it (default: its owner)",
     read_path<&PastaNamespaceWords::user>},
    {"netns-only", 0, nullptr, "join no user namespace, and make none",
     switched<&PastaNamespaceWords::only_network, true>},
    {"no-netns-quit", 0, nullptr, "stay when the namespace is deleted",
     switched<&PastaNamespaceWords::stays, true>},
    {"tcp-ports", 't', "PORTS",
     "lead ports of the host to the namespace's: none, all,\n"
     "22,8080:80,2000-2010,~2005, ADDRESS%INTERFACE/22, auto\n"
     "(default, of TCP and UDP): those at which it waits",
     read_ports_in<Protocol::kTcp>},
    {"udp-ports", 'u', "PORTS", "the same of UDP (default: those of -t, as they are)",
     read_ports_in<Protocol::kUdp>},
    {"tcp-ns", 'T', "PORTS",
     "lead ports of the namespace's loopback to the host's:\n"
     "none, 5432,8080:80,2000-2010,~2005, auto (default, of\n"
     "TCP and UDP, but with --no-map-gw): those at which the\n"
     "host waits",
     pass_on<OptionId::kTcpNs>},
    {"udp-ns", 'U', "PORTS", "the same of UDP (default where -T is given: none)",
     pass_on<OptionId::kUdpNs>},
    {"no-splice", 0, nullptr, "every byte goes by the interface, but those of -T",
     switched<&PastaNamespaceWords::splices, false>},
    {"host-lo-to-ns-lo", 0, nullptr,
     "what comes from the host's loopback finds servers at\n"
     "the namespace's first",
     pass_on<OptionId::kHostLoToNsLo>},
    {"no-copy-routes", 0, nullptr, "", is_so_anyway},
    {"no-copy-addrs", 0, nullptr, "", is_so_anyway},
    {"stats", 0, "SECONDS", "", tell_of_statistics},
    {"fd", 'F', "FD", "", refuse_tap},
    {"socket", 's', "PATH", "", refuse_machine},
    {"socket-path", 0, "PATH", "", refuse_machine},
    {"vhost-user", 0, nullptr, "", refuse_machine},
    {"repair-path", 0, "PATH", "", refuse_machine},
    {"one-off", '1', nullptr, "", refuse_machine},
};

}  // namespace

std::span<const PasstOption> pasta_options() { return kOptions; }

}  // namespace sluice::app
