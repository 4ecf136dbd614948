#include "app/compat/passt_option_table.h"

#include <fmt/core.h>

#include <bit>
#include <utility>

#include "app/guest/port_list.h"
#include "app/options/number_option.h"
#include "app/options/value_option.h"
#include "wire/messages/domain_name.h"

namespace sluice::app {
namespace {

PasstTaken read_address(PasstGiven given, PasstAddresses& addresses) {
  const auto address = wire::parse_ip(given.text);
  if (!address) return fail("{}: '{}' is not an IP address", given.option, given.text);
  addresses.set(*address);
  return {};
}

PasstTaken read_list(PasstGiven given, std::vector<wire::IpAddress>& list) {
  const auto address = wire::parse_ip(given.text);
  if (!address) return fail("{}: '{}' is not an IP address", given.option, given.text);
  list.push_back(*address);
  return {};
}

// "255.255.255.0" or "24".
PasstTaken read_netmask(PasstDraft& draft, PasstGiven given) {
  const auto dotted = wire::parse_ip(given.text);
  if (!dotted || !dotted->is_v4()) {
    const auto bits = parse_number<std::uint8_t>(given.option, given.text, 1, 32);
    if (!bits) return std::unexpected(bits.error());
    draft.netmask = *bits;
    return {};
  }
  const int bits = std::countl_one(dotted->v4_value());
  if (std::popcount(dotted->v4_value()) != bits) {
    return fail("{}: '{}' is not a netmask; expected one as 255.255.255.0 or 24", given.option,
                given.text);
  }
  draft.netmask = static_cast<std::uint8_t>(bits);
  return {};
}

PasstTaken read_search(PasstDraft& draft, PasstGiven given) {
  std::vector<std::string> domains;
  std::string_view text = given.text == "none" ? "" : given.text;
  while (!text.empty()) {
    const std::size_t space = text.find(' ');
    const std::string_view word = text.substr(0, space);
    if (!word.empty() && !wire::DomainName::from_text(word)) {
      return fail("{}: '{}' is not a domain", given.option, word);
    }
    if (!word.empty()) domains.emplace_back(word);
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
  }
  draft.search = std::move(domains);
  return {};
}

PasstTaken read_map_loopback(PasstDraft& draft, PasstGiven given) {
  if (given.text != "none") return read_address(given, draft.loopback);
  draft.map_gateway = false;
  draft.loopback = {};
  return {};
}

PasstTaken read_alias(PasstDraft& draft, PasstGiven given) {
  if (given.text != "none") return read_address(given, draft.alias);
  draft.alias = {};
  return {};
}

PasstTaken read_dns(PasstDraft& draft, PasstGiven given) {
  if (given.text != "none") return read_list(given, draft.resolvers);
  draft.services.tells_resolvers = false;
  draft.resolvers.clear();
  return {};
}

PasstTaken read_mtu(PasstDraft& draft, PasstGiven given) {
  if (given.text == "0") {
    draft.differs(fmt::format("{} 0: the guest is told an MTU all the same", given.option));
    return {};
  }
  draft.value(OptionId::kMtu, given.text);
  return {};
}

PasstTaken read_outbound(PasstDraft& draft, PasstGiven given) {
  PasstAddresses addresses;
  if (auto ok = read_address(given, addresses); !ok) return ok;
  if (addresses.v4) draft.outbound.v4.address = addresses.v4;
  if (addresses.v6) draft.outbound.v6.address = addresses.v6;
  return {};
}

PasstTaken read_log_size(PasstDraft& draft, PasstGiven given) {
  constexpr std::size_t kMin = 4096;
  constexpr std::size_t kMax = std::size_t{1} << 30;
  const auto size = parse_size(given.option, given.text, kMin, kMax);
  if (!size) return std::unexpected(size.error());
  draft.done.log_size = *size;
  return {};
}

PasstTaken read_interface(PasstDraft& draft, PasstGiven given) {
  draft.differs(fmt::format("{} {}: the guest's network is one of its own, not an interface's",
                            given.option, given.text));
  return {};
}

template <std::string PasstDraft::* kName>
PasstTaken read_name(PasstDraft& draft, PasstGiven given) {
  if (!wire::DomainName::from_text(given.text)) {
    return fail("{}: '{}' is not a name", given.option, given.text);
  }
  draft.*kName = given.text;
  return {};
}

template <std::string PasstCommon::* kText>
PasstTaken keep(PasstDraft& draft, PasstGiven given) {
  draft.done.*kText = given.text;
  return {};
}
template <bool flow::GuestServices::* kService, bool kOn = false>
PasstTaken switched(PasstDraft& draft, PasstGiven) {
  draft.services.*kService = kOn;
  return {};
}
template <bool PasstDraft::* kSwitch, bool kOn>
PasstTaken switched(PasstDraft& draft, PasstGiven) {
  draft.*kSwitch = kOn;
  return {};
}
template <const char* kLevel>
PasstTaken log_level(PasstDraft& draft, PasstGiven) {
  draft.value(OptionId::kLogLevel, kLevel);
  return {};
}
constexpr char kInfo[] = "info";
constexpr char kTrace[] = "trace";
constexpr char kError[] = "error";

using Services = flow::GuestServices;

// In the order of passt(1).
constexpr PasstOption kOptions[] = {
    {"debug", 'd', nullptr, "say what is done, and what differs on purpose", log_level<kInfo>},
    {"trace", 0, nullptr, "say more", log_level<kTrace>},
    {"quiet", 'q', nullptr, "errors only", log_level<kError>},
    {"foreground", 'f', nullptr, "do not go to the background",
     [](PasstDraft& draft, PasstGiven) {
       draft.done.foreground = true;
       return PasstTaken();
     }},
    {"stderr", 'e', nullptr, "",
     [](PasstDraft& draft, PasstGiven given) {
       draft.differs(fmt::format("{}: in the background there is no standard error", given.option));
       return PasstTaken();
     }},
    {"log-file", 'l', "FILE", "messages go there", keep<&PasstCommon::log_file>},
    {"log-size", 0, "BYTES", "at most so much of them (default: 1048576)", read_log_size},
    {"runas", 0, "USER[:GROUP]", "become that user (default: nobody for root)",
     keep<&PasstCommon::run_as>},
    {"pcap", 'p', "FILE", "capture every frame", pass_on<OptionId::kPcap>},
    {"pid", 'P', "FILE", "write our process number there", keep<&PasstCommon::pid_file>},
    {"mtu", 'm', "N", "of the guest's interface (default: 65520)", read_mtu},
    {"address", 'a', "IP", "of the guest, once for IPv4 and once for IPv6",
     [](PasstDraft& draft, PasstGiven given) { return read_address(given, draft.guest); }},
    {"netmask", 'n', "MASK", "of its IPv4 network, as 255.255.255.0 or 24", read_netmask},
    {"mac-addr", 'M', "MAC", "of its gateway",
     [](PasstDraft& draft, PasstGiven given) { return take_mac(given, draft.gateway_mac); }},
    {"gateway", 'g', "IP", "its gateway, inside that network", pass_on<OptionId::kGateway>},
    {"interface", 'i', "NAME", "", read_interface},
    {"outbound", 'o', "IP", "the host's side of flows goes out from there", read_outbound},
    {"outbound-if4", 0, "NAME", "the same by an interface, for IPv4",
     [](PasstDraft& draft, PasstGiven given) {
       draft.outbound.v4.device = given.text;
       return PasstTaken();
     }},
    {"outbound-if6", 0, "NAME", "and for IPv6",
     [](PasstDraft& draft, PasstGiven given) {
       draft.outbound.v6.device = given.text;
       return PasstTaken();
     }},
    {"dns", 'D', "IP", "tell the guest to ask there for names; none: nowhere", read_dns},
    {"dns-forward", 0, "IP", "where we answer the guest's questions",
     [](PasstDraft& draft, PasstGiven given) { return read_address(given, draft.dns_forward); }},
    {"dns-host", 0, "IP", "whom we ask (default: as /etc/resolv.conf says)",
     [](PasstDraft& draft, PasstGiven given) { return read_list(given, draft.dns_host); }},
    {"search", 'S', "LIST", "search domains, with spaces between; none: none", read_search},
    {"no-dhcp-dns", 0, nullptr, "tell the guest no resolver", switched<&Services::tells_resolvers>},
    {"no-dhcp-search", 0, nullptr, "tell it no search domain",
     switched<&Services::tells_search_domains>},
    {"dhcp-dns", 0, nullptr, "", switched<&Services::tells_resolvers, true>},
    {"dhcp-search", 0, nullptr, "", switched<&Services::tells_search_domains, true>},
    {"no-tcp", 0, nullptr, "no TCP", switched<&Services::tcp>},
    {"no-udp", 0, nullptr, "no UDP", switched<&Services::udp>},
    {"no-icmp", 0, nullptr, "no ping", switched<&Services::echo>},
    {"no-dhcp", 0, nullptr, "no DHCP", switched<&Services::dhcp>},
    {"no-ndp", 0, nullptr, "no neighbour discovery", switched<&Services::neighbour_discovery>},
    {"no-dhcpv6", 0, nullptr, "no DHCPv6", switched<&Services::dhcpv6>},
    {"no-ra", 0, nullptr, "no router advertisements", switched<&Services::router_advertisements>},
    {"freebind", 0, nullptr, "ports on addresses that the host may get later",
     switched<&PasstDraft::freebind, true>},
    {"map-host-loopback", 0, "IP", "stands for the host's loopback; none: nothing does",
     read_map_loopback},
    {"no-map-gw", 0, nullptr, "the gateway does not stand for it",
     switched<&PasstDraft::map_gateway, false>},
    {"map-guest-addr", 0, "IP", "stands for the host's own address", read_alias},
    {"ipv4-only", '4', nullptr, "no IPv6", pass_on<OptionId::kOnlyV4>},
    {"ipv6-only", '6', nullptr, "no IPv4", pass_on<OptionId::kOnlyV6>},
    {"hostname", 'H', "NAME", "tell the guest its name", read_name<&PasstDraft::host_name>},
    {"fqdn", 0, "NAME", "tell the guest its whole name", read_name<&PasstDraft::full_name>},
};

}  // namespace

std::span<const PasstOption> common_passt_options() { return kOptions; }

PasstTaken take_mac(PasstGiven given, std::optional<wire::MacAddress>& mac) {
  const auto parsed = wire::parse_mac(given.text);
  if (!parsed || parsed->is_multicast() || *parsed == wire::MacAddress{}) {
    return fail("{}: '{}' is not a MAC of a host; expected one as 52:54:00:12:34:01", given.option,
                given.text);
  }
  mac = *parsed;
  return {};
}

PasstTaken take_ports(PasstDraft& draft, PasstGiven given, policy::Protocol protocol) {
  auto list = parse_port_list(given.option, given.text, protocol, EphemeralPorts::of_host());
  if (!list) return std::unexpected(std::move(list.error()));
  const bool tcp = protocol == policy::Protocol::kTcp;
  auto& ports = tcp ? draft.tcp_ports : draft.udp_ports;
  if (given.text == "none") {
    ports.clear();
    std::erase_if(draft.follow,
                  [&](const serve::FollowedPorts& one) { return one.like.protocol == protocol; });
  }
  ports.insert(ports.end(), list->maps.begin(), list->maps.end());
  if (list->follow) draft.follow.push_back(std::move(*list->follow));
  (tcp ? draft.tcp_given : draft.udp_given) = true;
  return {};
}

}  // namespace sluice::app
