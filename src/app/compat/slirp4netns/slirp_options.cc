#include "app/compat/slirp4netns/slirp_options.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <string_view>
#include <utility>

#include "app/compat/getopt_words.h"
#include "app/compat/slirp4netns/slirp_draft.h"
#include "app/options/interface_name.h"
#include "app/options/number_option.h"

namespace sluice::app {
namespace {

using Checked = std::expected<void, Mistake>;

struct Given {
  std::string_view option;  // As messages name it.
  std::string_view text;    // Its value; empty of a flag.
};

Checked read_descriptor(Given given, std::optional<int>& fd) {
  const auto number =
      parse_number<int>(given.option, given.text, 0, std::numeric_limits<int>::max());
  if (!number) return std::unexpected(number.error());
  fd = *number;
  return {};
}

Checked read_path(Given given, std::string& path) {
  if (given.text.empty()) return fail("{}: the path is empty", given.option);
  path = given.text;
  return {};
}

// From 1 to 65521 there. We send no packet above 65520.
Checked read_mtu(SlirpDraft& draft, Given given) {
  constexpr std::uint16_t kLargest = 65'521;
  const auto mtu = parse_number<std::uint16_t>(given.option, given.text, 1, kLargest);
  if (!mtu) return std::unexpected(mtu.error());
  draft.mtu = std::min<std::uint16_t>(*mtu, kLargest - 1);
  return {};
}

// The guest is the hundredth of the network, so that it has 7 bits at least.
Checked read_cidr(SlirpDraft& draft, Given given) {
  constexpr std::uint8_t kLongest = 25;
  const std::size_t slash = given.text.find('/');
  const auto address = wire::parse_ip(given.text.substr(0, slash));
  if (!address || !address->is_v4() || slash == std::string_view::npos) {
    return fail("{}: '{}' is not an IPv4 network; expected one as 10.0.2.0/24", given.option,
                given.text);
  }
  const auto bits =
      parse_number<std::uint8_t>(given.option, given.text.substr(slash + 1), 1, kLongest);
  if (!bits) return std::unexpected(bits.error());
  const std::uint32_t hosts = std::numeric_limits<std::uint32_t>::max() >> *bits;
  if ((address->v4_value() & hosts) != 0) {
    return fail("{}: '{}' is an address within a network; expected the network, '{}/{}'",
                given.option, given.text,
                wire::to_string(wire::IpAddress::v4(address->v4_value() & ~hosts)), *bits);
  }
  draft.network = *address;
  draft.bits = *bits;
  return {};
}

Checked read_mac(SlirpDraft& draft, Given given) {
  const auto mac = wire::parse_mac(given.text);
  if (!mac || mac->is_multicast() || *mac == wire::MacAddress{}) {
    return fail("{}: '{}' is not a MAC of a host; expected one as 52:54:00:12:34:01", given.option,
                given.text);
  }
  draft.mac = *mac;
  return {};
}

Checked read_netns_type(SlirpDraft& draft, Given given) {
  draft.netns_type_given = true;
  if (given.text == "pid") {
    draft.netns_type = NetnsType::kPid;
  } else if (given.text == "path") {
    draft.netns_type = NetnsType::kPath;
  } else if (given.text == "tapfd") {
    draft.netns_type = NetnsType::kTapFd;
  } else {
    return fail("{}: '{}' is unknown; expected pid, path or tapfd", given.option, given.text);
  }
  return {};
}

Checked read_target_type(SlirpDraft& draft, Given given) {
  if (given.text != "netns" && given.text != "bess") {
    return fail("{}: '{}' is unknown; expected netns or bess", given.option, given.text);
  }
  draft.bess = given.text == "bess";
  return {};
}

template <wire::IpFamily kFamily>
Checked read_outbound(SlirpDraft& draft, Given given) {
  auto& way = kFamily == wire::IpFamily::kV4 ? draft.outbound.v4 : draft.outbound.v6;
  way = {};
  const auto address = wire::parse_ip(given.text);
  if (address && address->family() == kFamily) {
    way.address = *address;
  } else if (!address && is_interface_name(given.text)) {
    way.device = given.text;
  } else {
    return fail("{}: '{}' is neither an IPv{} address nor an interface", given.option, given.text,
                kFamily == wire::IpFamily::kV4 ? 4 : 6);
  }
  return {};
}

template <bool SlirpDraft::* kFlag>
Checked set(SlirpDraft& draft, Given) {
  draft.*kFlag = true;
  return {};
}
template <std::string SlirpDraft::* kPath>
Checked path(SlirpDraft& draft, Given given) {
  return read_path(given, draft.*kPath);
}
template <std::optional<int> SlirpDraft::* kFd>
Checked descriptor(SlirpDraft& draft, Given given) {
  return read_descriptor(given, draft.*kFd);
}
Checked nothing(SlirpDraft&, Given) { return {}; }

struct SlirpOption {
  const char* name;
  char letter;        // 0: none.
  const char* value;  // Its name in --help; null of a flag.
  const char* help;
  Checked (*take)(SlirpDraft&, Given);
};

// In the order of slirp4netns(1).
constexpr SlirpOption kOptions[] = {
    {"configure", 'c', nullptr, "bring the interface up, with addresses and routes",
     set<&SlirpDraft::configure>},
    {"exit-fd", 'e', "FD", "end when the other side of this descriptor is closed",
     descriptor<&SlirpDraft::exit_fd>},
    {"ready-fd", 'r', "FD", "write '1' there once the network is up",
     descriptor<&SlirpDraft::ready_fd>},
    {"mtu", 'm', "MTU", "of the interface, up to 65521 (default: 1500)", read_mtu},
    {"enable-ipv6", '6', nullptr, "IPv6 as well: fd00::/64", set<&SlirpDraft::ipv6>},
    {"api-socket", 'a', "PATH", "publish ports by requests to this socket",
     path<&SlirpDraft::api_socket>},
    {"cidr", 0, "CIDR", "the network (default: 10.0.2.0/24)", read_cidr},
    {"disable-host-loopback", 0, nullptr, "do not lead to 127.0.0.1 of the host",
     set<&SlirpDraft::no_host_loopback>},
    {"netns-type", 0, "TYPE", "what is named: pid, path or tapfd (default: pid)", read_netns_type},
    {"userns-path", 0, "PATH", "the user namespace (default: the owner of the other)",
     path<&SlirpDraft::userns_path>},
    {"enable-sandbox", 0, nullptr, "taken; we always are in one", nothing},
    {"enable-seccomp", 0, nullptr, "taken; we always use it", nothing},
    {"outbound-addr", 0, "IPv4", "go out from this address, or by this interface",
     read_outbound<wire::IpFamily::kV4>},
    {"outbound-addr6", 0, "IPv6", "the same for IPv6", read_outbound<wire::IpFamily::kV6>},
    {"disable-dns", 0, nullptr, "answer no questions at 10.0.2.3", set<&SlirpDraft::no_dns>},
    {"macaddress", 0, "MAC", "of the interface (only with -c)", read_mac},
    {"target-type", 0, "TYPE", "netns, or bess for User Mode Linux (default: netns)",
     read_target_type},
};

[[nodiscard]] std::string help_text() {
  std::string text =
      "Usage: slirp4netns [OPTION]... PID|PATH|FD [TAPNAME]\n\n"
      "The network of a namespace. This is sluice in the place of slirp4netns; 'sluice attach\n"
      "--help' says what it can do besides.\n\nOptions:\n";
  for (const SlirpOption& option : kOptions) {
    std::string names = option.letter != 0 ? fmt::format("-{}, ", option.letter) : "    ";
    names += fmt::format("--{}", option.name);
    if (option.value != nullptr) names += fmt::format("={}", option.value);
    text += fmt::format("  {:<30}{}\n", names, option.help);
  }
  return text + fmt::format("  {:<30}{}\n  {:<30}{}\n", "-h, --help", "print this", "-v, --version",
                            "print the version");
}

// Its first line is what programs look at.
constexpr const char* kVersionText =
    "slirp4netns version 1.3.0\n"
    "commit: none, this is sluice " SLUICE_VERSION "\n";

// Behind those of the table.
enum class Telling : std::uint8_t { kHelp, kVersion };
constexpr GetoptOption kTellings[] = {{"help", 'h', false}, {"version", 'v', false}};

[[nodiscard]] EarlyExit mistake(const Mistake& what) {
  return {fmt::format("slirp4netns: {}; see 'slirp4netns --help'\n", what.text), 1};
}

}  // namespace

std::expected<SlirpOptions, EarlyExit> parse_slirp_options(std::span<const char* const> words) {
  std::vector<GetoptOption> known = getopt_options(kOptions);
  known.insert(known.end(), std::begin(kTellings), std::end(kTellings));
  GetoptWords getopt(words, std::move(known), GetoptWordsAre::kAnywhere);
  SlirpDraft draft;
  while (true) {
    const auto found = getopt.next();
    if (!found) return std::unexpected(found.error());
    if (!*found) break;
    const auto& [number, text] = **found;
    if (number >= std::size(kOptions)) {
      const auto telling = static_cast<Telling>(number - std::size(kOptions));
      return std::unexpected(EarlyExit{telling == Telling::kHelp ? help_text() : kVersionText, 0});
    }
    const std::string name = fmt::format("--{}", kOptions[number].name);
    const auto taken = kOptions[number].take(draft, {name, text});
    if (!taken) return std::unexpected(mistake(taken.error()));
  }
  draft.words = getopt.others();
  auto options = finish_slirp_options(std::move(draft));
  if (!options) return std::unexpected(mistake(options.error()));
  return std::move(*options);
}

}  // namespace sluice::app
