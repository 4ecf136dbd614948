#include "app/compat/passt_options.h"

#include <fmt/core.h>
#include <getopt.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "app/compat/passt_draft.h"
#include "app/options/number_option.h"
#include "app/options/value_option.h"
#include "wire/messages/domain_name.h"

namespace sluice::app {
namespace {

using Checked = std::expected<void, Mistake>;

struct Given {
  std::string_view option;  // As messages name it.
  std::string_view text;    // Its value; empty of a flag.
};

Checked read_address(const Given& given, PasstAddresses& addresses) {
  const auto address = wire::parse_ip(given.text);
  if (!address) return fail("{}: '{}' is not an IP address", given.option, given.text);
  addresses.set(*address);
  return {};
}

Checked read_list(const Given& given, std::vector<wire::IpAddress>& list) {
  const auto address = wire::parse_ip(given.text);
  if (!address) return fail("{}: '{}' is not an IP address", given.option, given.text);
  list.push_back(*address);
  return {};
}

// "255.255.255.0" or "24".
Checked read_netmask(PasstDraft& draft, Given given) {
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

Checked read_search(PasstDraft& draft, Given given) {
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

template <policy::Protocol kProtocol>
Checked read_ports(PasstDraft& draft, Given given) {
  auto maps = parse_passt_ports(given.option, given.text, kProtocol, draft.ephemeral);
  if (!maps) return std::unexpected(std::move(maps.error()));
  constexpr bool kTcp = kProtocol == policy::Protocol::kTcp;
  auto& ports = kTcp ? draft.tcp_ports : draft.udp_ports;
  if (given.text == "none") ports.clear();
  ports.insert(ports.end(), maps->begin(), maps->end());
  if (!kTcp) draft.udp_given = true;
  return {};
}

Checked read_map_loopback(PasstDraft& draft, Given given) {
  if (given.text != "none") return read_address(given, draft.loopback);
  draft.map_gateway = false;
  draft.loopback = {};
  return {};
}

Checked read_alias(PasstDraft& draft, Given given) {
  if (given.text != "none") return read_address(given, draft.alias);
  draft.alias = {};
  return {};
}

Checked read_mac(PasstDraft& draft, Given given) {
  const auto mac = wire::parse_mac(given.text);
  if (!mac || mac->is_multicast() || *mac == wire::MacAddress{}) {
    return fail("{}: '{}' is not a MAC of a host; expected one as 52:54:00:12:34:01", given.option,
                given.text);
  }
  draft.gateway_mac = *mac;
  return {};
}

Checked read_dns(PasstDraft& draft, Given given) {
  if (given.text != "none") return read_list(given, draft.resolvers);
  draft.services.tells_resolvers = false;
  draft.resolvers.clear();
  return {};
}

Checked read_mtu(PasstDraft& draft, Given given) {
  if (given.text == "0") {
    draft.differs(fmt::format("{} 0: the guest is told an MTU all the same", given.option));
    return {};
  }
  draft.value(OptionId::kMtu, given.text);
  return {};
}

Checked read_outbound(PasstDraft& draft, Given given) {
  PasstAddresses addresses;
  if (auto ok = read_address(given, addresses); !ok) return ok;
  if (addresses.v4) draft.outbound.v4.address = addresses.v4;
  if (addresses.v6) draft.outbound.v6.address = addresses.v6;
  return {};
}

Checked read_log_size(PasstDraft& draft, Given given) {
  constexpr std::size_t kMin = 4096;
  constexpr std::size_t kMax = std::size_t{1} << 30;
  const auto size = parse_size(given.option, given.text, kMin, kMax);
  if (!size) return std::unexpected(size.error());
  draft.done.log_size = *size;
  return {};
}

Checked read_interface(PasstDraft& draft, Given given) {
  draft.differs(fmt::format("{} {}: the guest's network is one of its own, not an interface's",
                            given.option, given.text));
  return {};
}

Checked read_repair_path(PasstDraft& draft, Given given) {
  if (given.text == "none") return {};
  draft.differs(fmt::format("{} {}: connections do not move along when the guest migrates",
                            given.option, given.text));
  return {};
}

template <std::string PasstDraft::* kName>
Checked read_name(PasstDraft& draft, Given given) {
  if (!wire::DomainName::from_text(given.text)) {
    return fail("{}: '{}' is not a name", given.option, given.text);
  }
  draft.*kName = given.text;
  return {};
}

template <std::string PasstOptions::* kText>
Checked keep(PasstDraft& draft, Given given) {
  draft.done.*kText = given.text;
  return {};
}
template <bool flow::GuestServices::* kService, bool kOn = false>
Checked switched(PasstDraft& draft, Given) {
  draft.services.*kService = kOn;
  return {};
}
template <bool PasstDraft::* kSwitch, bool kOn>
Checked switched(PasstDraft& draft, Given) {
  draft.*kSwitch = kOn;
  return {};
}
template <OptionId kId>
Checked pass_on(PasstDraft& draft, Given given) {
  draft.value(kId, given.text);
  return {};
}
template <const char* kLevel>
Checked log_level(PasstDraft& draft, Given) {
  draft.value(OptionId::kLogLevel, kLevel);
  return {};
}
constexpr char kInfo[] = "info";
constexpr char kTrace[] = "trace";
constexpr char kError[] = "error";

using Services = flow::GuestServices;
using Take = Checked (*)(PasstDraft&, Given);

struct PasstOption {
  const char* name;
  char letter;        // 0: none.
  const char* value;  // Its name in --help; null of a flag.
  const char* help;   // Empty: taken, and not talked about.
  Take take;
};

// In the order of passt(1).
constexpr PasstOption kOptions[] = {
    {"debug", 'd', nullptr, "say what is done, and what differs from passt", log_level<kInfo>},
    {"trace", 0, nullptr, "say more", log_level<kTrace>},
    {"quiet", 'q', nullptr, "errors only", log_level<kError>},
    {"foreground", 'f', nullptr, "do not go to the background",
     [](PasstDraft& draft, Given) {
       draft.done.foreground = true;
       return Checked();
     }},
    {"stderr", 'e', nullptr, "", [](PasstDraft&, Given) { return Checked(); }},
    {"log-file", 'l', "FILE", "messages go there", keep<&PasstOptions::log_file>},
    {"log-size", 0, "BYTES", "at most so much of them (default: 1048576)", read_log_size},
    {"runas", 0, "USER[:GROUP]", "become that user (default: nobody for root)",
     keep<&PasstOptions::run_as>},
    {"pcap", 'p', "FILE", "capture every frame", pass_on<OptionId::kPcap>},
    {"pid", 'P', "FILE", "write our process number there", keep<&PasstOptions::pid_file>},
    {"mtu", 'm', "N", "of the guest's interface (default: 65520)", read_mtu},
    {"address", 'a', "IP", "of the guest, once for IPv4 and once for IPv6",
     [](PasstDraft& draft, Given given) { return read_address(given, draft.guest); }},
    {"netmask", 'n', "MASK", "of its IPv4 network, as 255.255.255.0 or 24", read_netmask},
    {"mac-addr", 'M', "MAC", "of its gateway", read_mac},
    {"gateway", 'g', "IP", "its gateway, inside that network", pass_on<OptionId::kGateway>},
    {"interface", 'i', "NAME", "", read_interface},
    {"outbound", 'o', "IP", "the host's side of flows goes out from there", read_outbound},
    {"outbound-if4", 0, "NAME", "the same by an interface, for IPv4",
     [](PasstDraft& draft, Given given) {
       draft.outbound.v4.device = given.text;
       return Checked();
     }},
    {"outbound-if6", 0, "NAME", "and for IPv6",
     [](PasstDraft& draft, Given given) {
       draft.outbound.v6.device = given.text;
       return Checked();
     }},
    {"dns", 'D', "IP", "tell the guest to ask there for names; none: nowhere", read_dns},
    {"dns-forward", 0, "IP", "where we answer the guest's questions",
     [](PasstDraft& draft, Given given) { return read_address(given, draft.dns_forward); }},
    {"dns-host", 0, "IP", "whom we ask (default: as /etc/resolv.conf says)",
     [](PasstDraft& draft, Given given) { return read_list(given, draft.dns_host); }},
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
    {"socket", 's', "PATH",
     "QEMU connects there (default: the first free one of\n"
     "/tmp/passt_1.socket to /tmp/passt_64.socket)",
     [](PasstDraft& draft, Given given) {
       draft.socket = given.text;
       return Checked();
     }},
    {"socket-path", 0, "PATH", "",
     [](PasstDraft& draft, Given given) {
       draft.socket = given.text;
       return Checked();
     }},
    {"vhost-user", 0, nullptr, "the socket speaks vhost-user",
     switched<&PasstDraft::vhost_user, true>},
    {"repair-path", 0, "PATH", "", read_repair_path},
    {"fd", 'F', "FD", "a socket that is connected already", pass_on<OptionId::kFd>},
    {"one-off", '1', nullptr, "end with the first guest", pass_on<OptionId::kOneOff>},
    {"tcp-ports", 't', "PORTS",
     "lead ports of the host to the guest's: none, all,\n"
     "22,8080:80,2000-2010,~2005, ADDRESS%INTERFACE/22",
     read_ports<policy::Protocol::kTcp>},
    {"udp-ports", 'u', "PORTS", "the same of UDP (default: those of -t, as they are)",
     read_ports<policy::Protocol::kUdp>},
};

[[nodiscard]] std::string help_text() {
  std::string text =
      "Usage: passt [OPTION]...\n\n"
      "The network of a virtual machine. This is sluice in the place of passt; 'sluice vm --help'\n"
      "says what it can do besides. The guest has a network of its own, 10.0.2.15/24 if nothing\n"
      "else is said, and passt's ways to the host: its loopback behind the gateway, its "
      "addresses.\n"
      "\nOptions:\n";
  for (const PasstOption& option : kOptions) {
    if (*option.help == '\0') continue;
    std::string names = option.letter != 0 ? fmt::format("-{}, ", option.letter) : "    ";
    names += fmt::format("--{}", option.name);
    if (option.value != nullptr) names += fmt::format(" {}", option.value);
    std::string_view help = option.help;
    for (bool first = true; !help.empty(); first = false) {
      const std::size_t end = help.find('\n');
      text += fmt::format("  {:<30}{}\n", first ? names : "", help.substr(0, end));
      help.remove_prefix(end == std::string_view::npos ? help.size() : end + 1);
    }
  }
  text += fmt::format("  {:<30}{}\n  {:<30}{}\n", "-h, --help", "print this", "    --version",
                      "print the version");
  return text;
}

// What getopt_long() gives for an option without a letter: above every letter.
constexpr int kNumbered = 256;
constexpr int kVersion = kNumbered + 1000;
constexpr int kCapabilities = kVersion + 1;

struct GetoptTables {
  std::string letters = "h";
  std::vector<option> names;
};

[[nodiscard]] GetoptTables getopt_tables() {
  GetoptTables tables;
  int number = kNumbered;
  for (const PasstOption& one : kOptions) {
    const int argument = one.value != nullptr ? required_argument : no_argument;
    tables.names.push_back({one.name, argument, nullptr, number++});
    if (one.letter == 0) continue;
    tables.letters += one.letter;
    if (one.value != nullptr) tables.letters += ':';
  }
  tables.names.push_back({"help", no_argument, nullptr, 'h'});
  tables.names.push_back({"version", no_argument, nullptr, kVersion});
  tables.names.push_back({"print-capabilities", no_argument, nullptr, kCapabilities});
  tables.names.push_back({nullptr, 0, nullptr, 0});
  return tables;
}

[[nodiscard]] const PasstOption* option_of(int found) {
  if (found >= kNumbered) return &kOptions[found - kNumbered];
  const auto* const at =
      std::ranges::find(kOptions, static_cast<char>(found), &PasstOption::letter);
  return at != std::end(kOptions) ? at : nullptr;
}

[[nodiscard]] EarlyExit mistake(const Mistake& what) {
  return {fmt::format("passt: {}; see 'passt --help'\n", what.text), 1};
}

}  // namespace

std::expected<PasstOptions, EarlyExit> parse_passt_options(std::span<const char* const> words,
                                                           std::string (*free_socket)()) {
  // getopt sorts the words, never their letters.
  std::vector<char*> sorted;
  sorted.reserve(words.size() + 1);
  for (const char* const word : words) sorted.push_back(const_cast<char*>(word));
  sorted.push_back(nullptr);
  const int count = static_cast<int>(words.size());
  const GetoptTables tables = getopt_tables();
  PasstDraft draft;
  ::optind = 0;  // Begin anew, also after another call.
  while (true) {
    const int found =
        ::getopt_long(count, sorted.data(), tables.letters.c_str(), tables.names.data(), nullptr);
    if (found == -1) break;
    if (found == '?') return std::unexpected(EarlyExit{"", 1});
    if (found == 'h') return std::unexpected(EarlyExit{help_text(), 0});
    if (found == kVersion) {
      return std::unexpected(EarlyExit{"passt, by sluice " SLUICE_VERSION "\n", 0});
    }
    // As QEMU's document on vhost-user has it, "Backend program conventions".
    if (found == kCapabilities) return std::unexpected(EarlyExit{"{\"type\": \"net\"}\n", 0});
    const PasstOption* const option = option_of(found);
    const std::string name = fmt::format("--{}", option->name);
    const auto taken = option->take(draft, {name, option->value != nullptr ? ::optarg : ""});
    if (!taken) return std::unexpected(mistake(taken.error()));
  }
  const auto rest = static_cast<std::size_t>(::optind);
  if (rest < words.size()) {
    return std::unexpected(mistake({fmt::format("'{}' is unexpected", sorted[rest])}));
  }
  if (!draft.socket && !draft.raw.has(OptionId::kFd)) draft.socket = free_socket();
  auto options = finish_passt_options(std::move(draft));
  if (!options) return std::unexpected(mistake(options.error()));
  return std::move(*options);
}

}  // namespace sluice::app
